/** Opens a connection: TCP, then the handshake, within one time limit. */
import { createConnection } from 'node:net';
import type { Clock } from '../../src/ports.ts';
import { parseAddress } from '../../wire/address.ts';
import { FrameReader, FrameWriter } from '../../wire/avro/frames.ts';
import { ClientConnectionError } from '../errors.ts';
import type { Limits } from '../options.ts';
import { Connection, type ConnectionEvents } from './connection.ts';
import type { Dialect, Dialects } from './dialect.ts';
import { Greeting } from './greeting.ts';

export interface OpenOptions {
  /** `host:port`, checked before. */
  readonly address: string;
  /** How the server is taken to speak. */
  readonly guess: Dialect;
  readonly dialects: Dialects;
  /** Until it is given up. */
  readonly timeoutMs: number;
  readonly limits: Limits;
  readonly clock: Clock;
  readonly events: ConnectionEvents;
}

/** A connection that is being opened. */
export interface Opening {
  /** Rejects with `ClientConnectionError`. */
  readonly done: Promise<Connection>;
  /** Gives it up: `done` rejects. */
  cancel(): void;
}

/** Java cuts answers in buffers of 8 KiB; others may cut smaller. */
const smallestBuffer = 1_024;

export function openConnection(options: OpenOptions): Opening {
  const { address, limits } = options;
  const { host, port } = parseAddress(address) ?? { host: address, port: 0 };
  const socket = createConnection({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: 30_000 });
  const maxBuffers = 16 + Math.ceil(limits.maxFrameBytes / smallestBuffer);
  const reader = new FrameReader({ maxFrameBytes: limits.maxFrameBytes, maxBuffers });
  let cancel = (): void => undefined;
  const done = new Promise<Connection>((resolve, reject) => {
    let settled = false;
    const fail = (reason: string, cause?: unknown): void => {
      if (settled) return;
      stop();
      // One failure is told; what a socket says while it is destroyed is of no use to anyone.
      socket.on('error', () => undefined);
      socket.destroy();
      reject(new ClientConnectionError(`${address}: ${reason}`, [{ server: address, reason }], { server: address, cause }));
    };
    cancel = () => fail('given up');
    let connected = false;
    const cancelTimer = options.clock.after(options.timeoutMs, () =>
      fail(connected ? 'no answer to the handshake' : 'no answer to the connection'),
    );
    const onError = (error: NodeJS.ErrnoException): void => fail(reasonOf(error), error);
    const onClose = (): void => fail('it closed the connection before the handshake was done');
    const onConnect = (): void => {
      connected = true;
      greet();
    };
    function stop(): void {
      settled = true;
      cancelTimer();
      socket.off('error', onError).off('close', onClose).off('connect', onConnect).off('data', onData);
    }

    const greeting = new Greeting(options.guess, options.dialects);
    let serial = 0;
    function greet(): void {
      const writer = new FrameWriter();
      serial++;
      writer.add(serial, ...greeting.request());
      socket.write(writer.take());
    }
    function onData(chunk: Buffer): void {
      try {
        const [frame, ...more] = reader.push(chunk);
        if (frame === undefined) return;
        // One question at a time: more than one answer was not asked for.
        if (frame.serial !== serial || more.length > 0) throw new Error('it answered what was not asked');
        const greeted = greeting.take(frame.payload);
        if (greeted === undefined) {
          greet();
          return;
        }
        stop();
        resolve(new Connection(socket, reader, { address, serial, ...greeted }, limits, options.events));
      } catch (error) {
        fail(`its handshake came to nothing: ${(error as Error).message}`, error);
      }
    }
    socket.on('error', onError).on('close', onClose).on('connect', onConnect).on('data', onData);
  });
  return { done, cancel };
}

/** `ECONNREFUSED` and its like, also when several addresses of one name were tried. */
function reasonOf(error: NodeJS.ErrnoException & { errors?: readonly NodeJS.ErrnoException[] }): string {
  return error.code ?? error.errors?.[0]?.code ?? error.message;
}
