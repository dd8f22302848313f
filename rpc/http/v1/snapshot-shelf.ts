/**
 * The snapshots that this node keeps open for others to take. An open one makes the database keep all that it sees, so there are few, each for
 * a bounded time: a while after its taker has broken off, so that he can go on, and never longer than `maxAgeMs`.
 */
import { randomUUID } from 'node:crypto';
import { BitacoraError } from '../../../src/core/errors.ts';
import type { Logger, SnapshotSource, StoreSnapshot } from '../../../src/ports.ts';

/** So many at once. */
export const maxSnapshots = 2;

export interface ShelfLimits {
  /** How long one is kept that nobody reads, in milliseconds. */
  readonly idleMs: number;
  readonly maxAgeMs: number;
}

/** Why a snapshot is kept no longer. The words are those of a metric's label. */
export type SnapshotEnd = 'taken' | 'unreadable' | 'too-old' | 'taker-gone' | 'draining';

const reasons: Readonly<Record<SnapshotEnd, string>> = {
  taken: 'it is taken',
  unreadable: 'it cannot be read',
  'too-old': 'it is too old',
  'taker-gone': 'its taker is gone',
  draining: 'the node is going away',
};

export interface KeptSnapshot {
  readonly name: string;
  readonly snapshot: StoreSnapshot;
}

interface Kept extends KeptSnapshot {
  /** Ends who reads it; undefined: nobody does. */
  reader: AbortController | undefined;
  idle: NodeJS.Timeout | undefined;
  old: NodeJS.Timeout | undefined;
}

export class SnapshotShelf {
  readonly #kept = new Map<string, Kept>();
  readonly #limits: ShelfLimits;
  readonly #logger: Logger;
  readonly #ended: (end: SnapshotEnd) => void;
  /** Being opened. */
  #opening = 0;
  #closed = false;

  /** `ended` hears what became of each snapshot, once. */
  constructor(limits: ShelfLimits, logger: Logger, ended: (end: SnapshotEnd) => void) {
    this.#limits = limits;
    this.#logger = logger;
    this.#ended = ended;
  }

  get size(): number {
    return this.#kept.size + this.#opening;
  }

  /** A new one, which `reader` reads. Errors: `overloaded`, `draining`, those of `SnapshotSource.snapshot`. */
  async open(source: SnapshotSource, reader: AbortController): Promise<KeptSnapshot> {
    if (this.size >= maxSnapshots) throw new BitacoraError('overloaded', `${maxSnapshots} snapshots are being taken; ask another node`);
    this.#opening++;
    let snapshot: StoreSnapshot;
    try {
      snapshot = await source.snapshot();
    } finally {
      this.#opening--;
    }
    if (this.#closed) {
      await snapshot.close();
      throw new BitacoraError('draining', 'the node is going away');
    }
    const kept: Kept = { name: randomUUID(), snapshot, reader, idle: undefined, old: undefined };
    kept.old = setTimeout(() => this.close(kept.name, 'too-old'), this.#limits.maxAgeMs).unref();
    this.#kept.set(kept.name, kept);
    this.#logger.info({ event: 'snapshot.opened', name: kept.name }, 'another node takes the store');
    return kept;
  }

  /** An open one, for `reader`; whoever still reads it is ended: his connection is the one that broke. Errors: `snapshot-gone`. */
  find(name: string, reader: AbortController): KeptSnapshot {
    const kept = this.#kept.get(name);
    if (kept === undefined) throw new BitacoraError('snapshot-gone', 'there is no such snapshot here any more: take a new one');
    clearTimeout(kept.idle);
    kept.reader?.abort(new BitacoraError('closed', 'another connection goes on with the snapshot'));
    kept.reader = reader;
    return kept;
  }

  /** `reader` has ended before the snapshot did: it is kept for a while, if nobody else reads it already. */
  leave(name: string, reader: AbortController): void {
    const kept = this.#kept.get(name);
    if (kept === undefined || kept.reader !== reader) return;
    kept.reader = undefined;
    kept.idle = setTimeout(() => this.close(name, 'taker-gone'), this.#limits.idleMs).unref();
  }

  /** Ends it, and who reads it. */
  close(name: string, end: SnapshotEnd): void {
    const kept = this.#kept.get(name);
    if (kept === undefined) return;
    this.#kept.delete(name);
    clearTimeout(kept.idle);
    clearTimeout(kept.old);
    kept.reader?.abort(new BitacoraError('closed', 'the snapshot is closed'));
    this.#ended(end);
    this.#logger.info({ event: 'snapshot.closed', name, reason: reasons[end] }, 'a snapshot of the store is closed');
    kept.snapshot.close().catch((error: unknown) => {
      this.#logger.warn({ event: 'snapshot.close-failed', name, reason: String(error) }, 'a snapshot could not be closed');
    });
  }

  /** Ends them all, and opens no other. */
  closeAll(): void {
    this.#closed = true;
    for (const name of [...this.#kept.keys()]) this.close(name, 'draining');
  }
}
