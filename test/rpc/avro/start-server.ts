/** A running Avro face over a key-value service in memory. */
import { type AvroLimits, type AvroServer, openAvroServer } from '../../../rpc/avro/server.ts';
import type { Logger } from '../../../src/ports.ts';
import { createMemoryKeyValue, type MemoryKeyValue, maxValueBytes } from '../memory-key-value.ts';

export interface Observed {
  readonly message: string;
  readonly outcome: string;
}

export interface Line {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly fields: Readonly<Record<string, unknown>>;
  readonly message: string;
}

export interface Running {
  readonly server: AvroServer;
  readonly keyValue: MemoryKeyValue;
  readonly port: number;
  readonly observed: Observed[];
  /** Every line, of whatever level. */
  readonly lines: Line[];
  /** Lines about connections that were cut. */
  cuts(): readonly Line['fields'][];
  stop(): Promise<void>;
}

export const testLimits: AvroLimits = {
  maxKeyBytes: 1024,
  maxValueBytes,
  maxFrameBytes: 600_000,
  maxBuffers: 200,
  maxConnections: 200,
  maxCallsPerConnection: 100,
  maxBytesPerConnection: 1_000_000,
  idleTimeoutMs: 60_000,
  frameTimeoutMs: 60_000,
  takeTimeoutMs: 60_000,
  writeTimeoutMs: 60_000,
};

export async function startServer(limits: Partial<AvroLimits> = {}, drainMs = 5_000): Promise<Running> {
  const keyValue = createMemoryKeyValue();
  const observed: Observed[] = [];
  const lines: Line[] = [];
  const at = (level: Line['level']) => (fields: object, message: string) => {
    lines.push({ level, fields: fields as Line['fields'], message });
  };
  const logger: Logger = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
  const server = await openAvroServer({
    keyValue,
    node: 'n1',
    host: '127.0.0.1',
    port: 0,
    limits: { ...testLimits, ...limits },
    observe: (message, outcome) => observed.push({ message, outcome }),
    logger,
    drainMs,
  });
  const cuts = () => lines.map(({ fields }) => fields).filter(({ event }) => event === 'avro.connection-closed');
  return { server, keyValue, port: server.address.port, observed, lines, cuts, stop: () => server.close() };
}

/** A promise that is kept from outside. */
export function gate(): { readonly closed: Promise<void>; open(): void } {
  let open = (): void => undefined;
  const closed = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { closed, open };
}
