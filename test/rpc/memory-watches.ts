/** Watches of a key-value service in memory: it forgets no change unless told to, and a watcher may leave so many untaken. */
import type { FoundValue, Offset, Partition, Position, WatchChange, WatchEvent, WatchOptions } from '../../src/ports.ts';

const mostWaiting = 100;

export interface MemoryWatchesOptions {
  readonly genesis: () => string | undefined;
  readonly applied: () => readonly Offset[];
  readonly state: (wanted: (key: string) => boolean) => readonly (readonly [string, FoundValue])[];
}

interface Watcher {
  readonly wants: (key: string) => boolean;
  waiting: WatchChange[];
  lost: boolean;
  wake: () => void;
}

export class MemoryWatches {
  readonly #options: MemoryWatchesOptions;
  readonly #watchers = new Set<Watcher>();
  #changes: WatchChange[] = [];
  /** Changes before are not known any more. */
  #from: Offset[] = [];
  /** Events that watchers have taken. */
  taken = 0;
  /** Awaited before each put of a state, when set. */
  stateGate: (() => Promise<void>) | undefined;
  /** What was asked. */
  readonly asked: WatchOptions[] = [];

  constructor(options: MemoryWatchesOptions) {
    this.#options = options;
  }

  get open(): number {
    return this.#watchers.size;
  }

  changed(change: WatchChange): void {
    this.#changes.push(change);
    for (const watcher of this.#watchers) {
      if (watcher.lost || !watcher.wants(change.key)) continue;
      watcher.waiting.push(change);
      if (watcher.waiting.length > mostWaiting) lose(watcher);
      watcher.wake();
    }
  }

  /** Who comes back with a position from before gets a reset. */
  forget(): void {
    this.#changes = [];
    this.#from = [...this.#options.applied()];
  }

  /** As after a jump in the log. */
  loseAll(): void {
    for (const watcher of this.#watchers) {
      lose(watcher);
      watcher.wake();
    }
  }

  async *watch(options: WatchOptions): AsyncGenerator<WatchEvent> {
    for await (const event of this.#watch(options)) {
      this.taken++;
      yield event;
    }
  }

  async *#watch({ key, prefix = '', from, initial = false, signal }: WatchOptions): AsyncGenerator<WatchEvent> {
    this.asked.push({ key, prefix, from, initial });
    const wants = (each: string): boolean => (key === undefined ? each.startsWith(prefix) : each === key);
    const watcher: Watcher = { wants, waiting: [], lost: false, wake: () => undefined };
    const missed = this.#since(from);
    const now = this.#now();
    this.#watchers.add(watcher);
    const wake = (): void => watcher.wake();
    signal?.addEventListener('abort', wake);
    try {
      if (missed === undefined || (initial && from === undefined)) yield* this.#state(watcher, missed === undefined);
      else {
        for (const change of missed) if (wants(change.key)) yield eventOf(change);
        yield { kind: 'sync', positions: now };
      }
      while (signal?.aborted !== true) {
        if (watcher.lost) yield* this.#state(watcher, true);
        else if (watcher.waiting.length > 0) yield eventOf(watcher.waiting.shift() as WatchChange);
        else {
          await new Promise<void>((resolve) => {
            watcher.wake = resolve;
          });
        }
      }
    } finally {
      signal?.removeEventListener('abort', wake);
      this.#watchers.delete(watcher);
    }
  }

  async *#state(watcher: Watcher, reset: boolean): AsyncGenerator<WatchEvent> {
    if (reset) yield { kind: 'reset' };
    watcher.lost = false;
    watcher.waiting = [];
    const now = this.#now();
    for (const [key, found] of this.#options.state(watcher.wants)) {
      await this.stateGate?.();
      yield { kind: 'put', key, found, position: found.version as Position };
    }
    yield { kind: 'sync', positions: now };
  }

  #since(from: WatchOptions['from']): readonly WatchChange[] | undefined {
    if (from === undefined) return [];
    if (from.genesis !== this.#options.genesis()) return undefined;
    const seen = new Map(from.positions.map(({ partition, offset }) => [partition, offset]));
    for (const [partition, offset] of seen) if (offset + 1 < (this.#from[partition] ?? 0)) return undefined;
    return this.#changes.filter(({ position }) => position.offset > (seen.get(position.partition) ?? Number.POSITIVE_INFINITY));
  }

  #now(): Position[] {
    return this.#options
      .applied()
      .map((offset, partition) => ({ partition: partition as Partition, offset: (offset - 1) as Offset }))
      .filter(({ offset }) => offset >= 0);
  }
}

function lose(watcher: Watcher): void {
  watcher.lost = true;
  watcher.waiting = [];
}

function eventOf({ key, found, position, time }: WatchChange): WatchEvent {
  return found === undefined ? { kind: 'delete', key, position, time } : { kind: 'put', key, found, position };
}
