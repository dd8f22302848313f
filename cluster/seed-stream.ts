/** One connection to a peer that gives its store: frames as they come, bounded in silence and slowness, and in what it can make us hold. */
import { type IncomingMessage, request } from 'node:http';
import type { Clock } from '../src/ports.ts';
import { parseAddress } from '../wire/address.ts';
import { type Frame, FrameReader, snapshotPath, snapshotType } from '../wire/snapshot-frames.ts';
import { SeedFailure } from './seed-failure.ts';

export interface SeedLimits {
  /** Nothing comes for so long: the connection is given up. */
  readonly silentMs: number;
  /** A peer is too slow that has sent less than this per second after `slowAfterMs` of waiting for it. */
  readonly leastBytesPerSecond: number;
  readonly slowAfterMs: number;
  /** For the whole of a store: no giver keeps a snapshot for longer. */
  readonly longestMs: number;
  /** Of a frame: it holds one row, or rows of a quarter of a megabyte. */
  readonly maxFrameBytes: number;
  /** Connections in a row that brought nothing, until a peer is given up; and the pause before the second, doubling. */
  readonly fruitless: number;
  readonly pauseMs: number;
}

/** Where to go on. */
export interface SeedPoint {
  readonly name: string;
  readonly after: Uint8Array | undefined;
  readonly rows: number;
  readonly checksum: number;
}

export interface SeedQuestion {
  readonly address: string;
  /** Undefined: a new snapshot. */
  readonly point: SeedPoint | undefined;
  readonly limits: SeedLimits;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** Ends with the last frame that came whole; whether it was the end frame is for the caller to see. Errors: `SeedFailure`. */
export async function* seedFrames(question: SeedQuestion): AsyncGenerator<Frame, void, undefined> {
  const { limits, clock, signal } = question;
  const incoming = await answerTo(question);
  const pieces = incoming[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  const reader = new FrameReader(limits.maxFrameBytes);
  let waitedMs = 0;
  let bytes = 0;
  try {
    for (;;) {
      const asked = clock.monotonic();
      const { done, value } = await within(limits.silentMs, clock, signal, pieces.next(), 'nothing came');
      if (done) return;
      // Only the time that we wait counts: while the disk is slow, the peer waits for us.
      waitedMs += clock.monotonic() - asked;
      bytes += value.length;
      const frames = reader.read(value);
      if (frames === undefined) throw new SeedFailure('lied', 'what it sends are no frames, or too large ones');
      yield* frames;
      if (waitedMs > limits.slowAfterMs && bytes < (limits.leastBytesPerSecond * waitedMs) / 1_000) {
        throw new SeedFailure('slow', `${bytes} bytes came in ${Math.round(waitedMs)} ms`);
      }
    }
  } finally {
    incoming.destroy();
  }
}

const meanings: Readonly<Record<number, string>> = {
  404: ': it gives no store (SEED_RATE is 0, or its store is in memory)',
  410: ': it does not keep the snapshot any more',
  503: ': it is not ready, going away, or giving to two others',
};

function answerTo({ address, point, limits, clock, signal }: SeedQuestion): Promise<IncomingMessage> {
  const target = parseAddress(address);
  if (target === undefined) throw new SeedFailure('refused', 'its address is none');
  const outgoing = request({ ...target, agent: false, path: snapshotPath + queryOf(point), headers: { accept: snapshotType } });
  const answer = new Promise<IncomingMessage>((resolve, reject) => {
    outgoing.on('error', (error) => reject(broken(error)));
    outgoing.on('response', (incoming) => {
      if (incoming.statusCode === 200 && incoming.headers['content-type'] === snapshotType) return resolve(incoming);
      incoming.destroy();
      const status = incoming.statusCode ?? 0;
      reject(new SeedFailure('refused', `it answered ${status}${meanings[status] ?? ''}`));
    });
    outgoing.end();
  });
  return within(limits.silentMs, clock, signal, answer, 'no answer').catch((error: unknown) => {
    outgoing.destroy();
    throw error;
  });
}

function queryOf(point: SeedPoint | undefined): string {
  if (point === undefined) return '';
  const { name, after, rows, checksum } = point;
  const key = Buffer.from(after ?? []).toString('base64url');
  return `?name=${encodeURIComponent(name)}&after=${key}&rows=${rows}&checksum=${checksum}`;
}

/** Errors: `SeedFailure` `broken`: `promise` took longer than `ms`, or rejected; or the signal's reason. */
function within<T>(ms: number, clock: Clock, signal: AbortSignal, promise: Promise<T>, what: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const cancel = clock.after(ms, () => settle(() => reject(new SeedFailure('broken', `${what} for ${ms} ms`))));
    const onAbort = (): void => settle(() => reject(signal.reason));
    const settle = (how: () => void): void => {
      cancel();
      signal.removeEventListener('abort', onAbort);
      how();
    };
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(
      (value) => settle(() => resolve(value)),
      (error: unknown) => settle(() => reject(error instanceof SeedFailure ? error : broken(error))),
    );
    if (signal.aborted) onAbort();
  });
}

function broken(error: unknown): SeedFailure {
  return new SeedFailure('broken', error instanceof Error ? error.message : String(error), { cause: error });
}
