/** A peer that says what a test wants it to say: a small HTTP server that answers `/rpc/cluster`. */
import { createServer, type Server } from 'node:http';
import { atCleanUp } from './clean-up.ts';
import { until } from './until.ts';

/** What it says of a key. Undefined fields are left out; `hang`: it takes the question and never answers. */
export type Saying =
  | 'hang'
  | {
      /** `Bitacora-Applied`. */
      readonly applied?: string;
      readonly genesis?: string;
      /** Undefined: 404. */
      readonly value?: string;
      /** Undefined: an older node's, whose numbers may be beyond 32 bits. */
      readonly version?: string;
      readonly timestamp?: number;
      readonly ttl?: number;
    };

export interface FakePeer {
  /** `host:port`, for MEMBERS. */
  readonly address: string;
  /** Keys it was asked for, in order. */
  readonly asked: readonly string[];
  /** What it says from now on, whatever the key. */
  says(saying: Saying): void;
  /** It has been asked for this key. */
  heard(key: string): Promise<void>;
}

export async function startFakePeer(first: Saying): Promise<FakePeer> {
  let saying = first;
  const asked: string[] = [];
  const server: Server = createServer((request, response) => {
    const key = new URL(request.url ?? '', 'http://peer').searchParams.get('key') ?? '';
    asked.push(key);
    if (saying === 'hang') return;
    if (saying.applied !== undefined) response.setHeader('Bitacora-Applied', saying.applied);
    if (saying.genesis !== undefined) response.setHeader('Bitacora-Genesis', saying.genesis);
    if (saying.value === undefined) {
      response.writeHead(404, { 'content-type': 'application/json' }).end(`{"message": "Key ${key} not found"}`);
      return;
    }
    const { value, version, timestamp = 1, ttl = 0 } = saying;
    const uuid = '3f1d2c4b-0000-4000-8000-000000000001';
    const body = { key, value, timestamp, source: 1, ttl, uuid, ...(version === undefined ? {} : { version, contentType: '' }) };
    response.writeHead(200, { 'content-type': 'application/json' }).end(`${JSON.stringify(body)}\n`);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  atCleanUp(() => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as { port: number };
  return {
    address: `127.0.0.1:${port}`,
    asked,
    says: (next) => {
      saying = next;
    },
    heard: async (key) => void (await until(`the peer is asked for ${key}`, () => asked.includes(key))),
  };
}
