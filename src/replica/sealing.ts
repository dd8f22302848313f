/**
 * Sealing the log: no node can write to it any more, and all know where it went.
 *
 * Where to, and what it takes to open it again, stand in a record under a system key, written before the log is closed: every node has it as
 * it has any other key, also after compaction and a restart. Whether the log is sealed is for the log alone to say: the record may stand
 * before a sealing that came to nothing.
 */
import { bytesOf, looseTextOf } from '../core/bytes.ts';
import { BitacoraError } from '../core/errors.ts';
import { sealKey } from '../core/keys.ts';
import { partitionOf } from '../core/partitioner.ts';
import { type Authorship, deleteRecord, putRecord } from '../core/record.ts';
import type { Clock, Entry, Log, NewRecord, Offset, Partition, Position, Sealed } from '../ports.ts';

export interface SealingOptions {
  /** The log of now; undefined while there is none. */
  readonly log: () => Log | undefined;
  readonly author: () => Authorship;
  readonly clock: Clock;
  /** Bound of an append. */
  readonly timeoutMs: number;
  /** What this node holds under a key. */
  readonly entry: (key: string) => Promise<Entry | undefined>;
  /** This node is at the log's end: what it holds under the system key is the newest. */
  readonly caughtUp: () => boolean;
  /** A record without meaning for a partition. */
  readonly probe: (partition: Partition, partitions: number) => NewRecord;
}

/** What stands under the system key, as JSON. */
interface Note {
  readonly to: string | null;
  readonly memo: string;
}

const keyBytes = bytesOf(sealKey);

export class Sealing {
  readonly #options: SealingOptions;

  constructor(options: SealingOptions) {
    this.#options = options;
  }

  /** As `KeyValue.seal`. */
  async seal(to: string | undefined): Promise<Sealed> {
    const log = this.#log();
    let told = to;
    let noted = false;
    const ends = await log.seal({
      keep: async (memo) => {
        noted = true;
        await this.#append(
          log,
          putRecord(keyBytes, bytesOf(JSON.stringify({ to: to ?? null, memo } satisfies Note)), this.#options.author()),
        );
      },
      probe: (partition) => this.#options.probe(partition, log.identity.partitions),
    });
    // It was sealed before: what was said then counts.
    if (!noted) told = (await this.#note())?.to ?? undefined;
    return { to: told, positions: ends.flatMap((next, i) => lastBefore(next, i as Partition)) };
  }

  /** As `KeyValue.unseal`. */
  async unseal(): Promise<void> {
    const log = this.#log();
    if (!this.#options.caughtUp()) throw new BitacoraError('position-not-reached', 'this node is not at the end of the log');
    const note = await this.#note();
    await log.unseal(note?.memo);
    if (note !== undefined) await this.#append(log, deleteRecord(keyBytes, this.#options.author()));
  }

  /** What a write is refused with: where the log went, as far as this node has been told. */
  async refusal(): Promise<BitacoraError> {
    // That the write was refused is certain, whatever the local database says.
    const to = (await this.#note().catch(() => undefined))?.to ?? undefined;
    return new BitacoraError('log-sealed', `the log is sealed and takes no writes${to === undefined ? '' : `; it has moved to ${to}`}`);
  }

  #log(): Log {
    const log = this.#options.log();
    if (log === undefined) throw new BitacoraError('log-unavailable', 'this node has not reached the log yet');
    return log;
  }

  /** Errors: those of `Log.append`. */
  async #append(log: Log, record: NewRecord): Promise<Position> {
    const deadline = new AbortController();
    const cancel = this.#options.clock.after(this.#options.timeoutMs, () => deadline.abort());
    try {
      return await log.append(partitionOf(keyBytes, log.identity.partitions), record, deadline.signal);
    } finally {
      cancel();
    }
  }

  /** Undefined: there is none, or it is not ours. Errors: `store-failed`. */
  async #note(): Promise<Note | undefined> {
    const entry = await this.#options.entry(sealKey);
    if (entry === undefined || entry.deleted) return undefined;
    let note: Partial<Note> | null;
    try {
      note = JSON.parse(looseTextOf(entry.value));
    } catch {
      return undefined;
    }
    if (typeof note?.memo !== 'string') return undefined;
    return { to: typeof note.to === 'string' ? note.to : null, memo: note.memo };
  }
}

function lastBefore(next: Offset, partition: Partition): readonly Position[] {
  return next === 0 ? [] : [{ partition, offset: (next - 1) as Offset }];
}
