/** A store from one peer: its snapshot from the head to the end, over as many connections as it takes while there is progress. */
import { crc32 } from 'node:zlib';
import type { Clock, SeedPlace, SeedWanted, SnapshotHead, StoreSeed } from '../src/ports.ts';
import type { Frame, SnapshotTold } from '../wire/snapshot-frames.ts';
import { isSameHead, readEnd, readHead } from '../wire/snapshot-head.ts';
import { asFailure, SeedFailure } from './seed-failure.ts';
import type { SeedMeter } from './seed-meter.ts';
import { type SeedLimits, type SeedPoint, seedFrames } from './seed-stream.ts';

export interface OnePeerOptions {
  readonly address: string;
  readonly wanted: Pick<SeedWanted, 'vacate' | 'progress' | 'signal'>;
  /** Looks at what is offered, before anything of it is taken; resolves with why it will not do, or undefined. */
  readonly unfit: (head: SnapshotHead) => Promise<string | undefined>;
  readonly place: SeedPlace;
  readonly limits: SeedLimits;
  readonly clock: Clock;
  readonly meter: SeedMeter;
}

/** Resolves with the rows taken, when the store is in its place. Errors: `SeedFailure`, those of `Seeding`, the signal's reason. Nothing is left then. */
export async function seedFromPeer(options: OnePeerOptions): Promise<number> {
  const taking = new Taking(options);
  try {
    return await taking.run();
  } catch (error) {
    await taking.abandon();
    throw asFailure(error);
  }
}

class Taking {
  readonly #options: OnePeerOptions;
  #told: SnapshotTold | undefined;
  #seed: StoreSeed | undefined;
  readonly #beganAt: number;
  /** Of all rows taken. */
  #checksum = 0;

  constructor(options: OnePeerOptions) {
    this.#options = options;
    this.#beganAt = options.clock.monotonic();
  }

  async run(): Promise<number> {
    const { limits, wanted } = this.#options;
    for (let fruitless = 0; ; ) {
      const before = this.#rows;
      try {
        return await this.#connection();
      } catch (error) {
        // Before there is a head there is nothing to go on with.
        if (!(error instanceof SeedFailure) || error.trouble !== 'broken' || this.#told === undefined) throw error;
        fruitless = this.#rows > before ? 0 : fruitless + 1;
        if (fruitless >= limits.fruitless) throw error;
      }
      await this.#pause(limits.pauseMs * 2 ** fruitless, wanted.signal);
    }
  }

  async abandon(): Promise<void> {
    await this.#seed?.abandon();
  }

  get #rows(): number {
    return this.#seed?.rows ?? 0;
  }

  get #point(): SeedPoint | undefined {
    if (this.#told === undefined) return undefined;
    return { name: this.#told.name, after: this.#seed?.last, rows: this.#rows, checksum: this.#checksum };
  }

  async #connection(): Promise<number> {
    const { address, limits, clock, wanted } = this.#options;
    let headed = false;
    for await (const frame of seedFrames({ address, point: this.#point, limits, clock, signal: wanted.signal })) {
      if (clock.monotonic() - this.#beganAt > limits.longestMs) throw new SeedFailure('slow', `it has no end after ${limits.longestMs} ms`);
      if (headed !== (frame.kind !== 'head')) throw new SeedFailure('lied', 'its frames are not in order');
      if (frame.kind === 'head') await this.#head(frame);
      else if (frame.kind === 'rows') await this.#take(frame);
      else return await this.#end(frame);
      headed = true;
    }
    throw new SeedFailure('broken', 'it ended early');
  }

  async #head({ body, checksum }: Frame): Promise<void> {
    const { unfit, place } = this.#options;
    const told = crc32(body) === checksum ? readHead(body) : undefined;
    if (told === undefined) throw new SeedFailure('lied', 'its head cannot be understood');
    if (this.#told !== undefined) {
      if (!isSameHead(told, this.#told)) throw new SeedFailure('lied', 'it goes on with another snapshot than the one asked for');
      return;
    }
    const reason = await unfit(told);
    if (reason !== undefined) throw new SeedFailure('refused', reason);
    this.#seed = await place.begin(told);
    this.#told = told;
  }

  async #take({ body, checksum }: Frame): Promise<void> {
    if (crc32(body, this.#checksum) !== checksum) throw new SeedFailure('lied', 'the checksum of its rows does not fit');
    const seed = this.#seed as StoreSeed;
    const before = seed.rows;
    await seed.take(body);
    this.#options.meter.took(seed.rows - before, body.length);
    this.#checksum = checksum;
    this.#options.wanted.progress?.(Math.min(1, seed.rows / Math.max(1, entriesOf(this.#told as SnapshotTold))));
  }

  async #end({ body, checksum }: Frame): Promise<number> {
    const end = crc32(body) === checksum ? readEnd(body) : undefined;
    const seed = this.#seed as StoreSeed;
    if (end?.rows !== seed.rows || end.checksum !== this.#checksum) {
      throw new SeedFailure('lied', `it says that it sent ${end?.rows} rows, ${seed.rows} came`);
    }
    const { wanted } = this.#options;
    await seed.finish(wanted.vacate, wanted.signal);
    return seed.rows;
  }

  #pause(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const stop = (): void => {
        cancel();
        reject(signal.reason);
      };
      const cancel = this.#options.clock.after(ms, () => {
        signal.removeEventListener('abort', stop);
        resolve();
      });
      signal.addEventListener('abort', stop, { once: true });
      if (signal.aborted) stop();
    });
  }
}

function entriesOf({ checkpoints }: SnapshotHead): number {
  return checkpoints.reduce((sum, { entries }) => sum + entries, 0);
}
