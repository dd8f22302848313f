/** The putting together of one LevelDB batch: rows of all families, each with its checksum, and the journal's row last. */
import type { Answer, Checkpoint, Entry, Fate, Offset, Partition, StoreIdentity, WriterMark } from '../../src/ports.ts';
import type { Level } from '../level.ts';
import { answerRowKey, checkpointKey, family, fateKey, identityKey, journalKey, keyed, writerKey } from './keys.ts';
import type { LevelState } from './level-state.ts';
import type { PresenceFilter } from './presence-filter.ts';
import type { RowEncoder } from './row.ts';
import { seal } from './sealed.ts';

/** Is shown each entry of a batch in its stored form without checksum, to copy it at once; undefined: the entry is removed. */
export type BodyTaker = (key: string, body: Uint8Array | undefined) => void;

/** What LevelDB's memory table needs for a row beside key and value, about. */
const ROW_OVERHEAD_BYTES = 32;

export class LevelBatch {
  readonly #operations: ReturnType<Level['batch']>;
  readonly #encoder: RowEncoder;
  readonly #state: LevelState;
  /** Bytes that LevelDB takes up for it, about. */
  bytes = 0;

  constructor(level: Level, encoder: RowEncoder, state: LevelState) {
    this.#operations = level.batch();
    this.#encoder = encoder;
    this.#state = state;
  }

  /** `doubtful`: keys that are listed as such. `filter` learns the keys now, before they can be found, so that it never denies one that can. */
  entries(
    partition: Partition,
    entries: ReadonlyMap<string, Entry | undefined>,
    doubtful: ReadonlySet<string> | undefined,
    filter: PresenceFilter | undefined,
    taker: BodyTaker | undefined,
  ): void {
    const encoder = this.#encoder;
    const { unsettled } = this.#state;
    for (const [key, entry] of entries) {
      if (entry === undefined) {
        this.#del(keyed(family.entry, key));
        taker?.(key, undefined);
      } else {
        encoder.encode(partition, key, entry);
        this.#put(encoder.key, encoder.row);
        filter?.add(key);
        taker?.(key, encoder.body);
      }
      if (entry !== undefined && !entry.settled) {
        this.#unsettled(key, doubtful?.has(key) ?? false);
      } else if (unsettled.size > 0 && unsettled.delete(key)) {
        this.#state.doubtful.delete(key);
        this.#del(keyed(family.unsettled, key));
      }
    }
  }

  /** Lists a key as unsettled, or as doubtful even, unless it is. */
  #unsettled(key: string, isDoubtful: boolean): void {
    const { unsettled, doubtful } = this.#state;
    if (unsettled.has(key) && doubtful.has(key) === isDoubtful) return;
    this.#putSealed(keyed(family.unsettled, key), isDoubtful ? { doubtful: true } : undefined);
    unsettled.add(key);
    if (isDoubtful) doubtful.add(key);
    else doubtful.delete(key);
  }

  answers(partition: Partition, answers: ReadonlyMap<string, Answer | undefined>): void {
    for (const [id, answer] of answers) {
      const key = answerRowKey(partition, id);
      if (answer === undefined) this.#del(key);
      else this.#putSealed(key, answer);
    }
  }

  writers(partition: Partition, writers: ReadonlyMap<string, WriterMark | undefined>): void {
    for (const [incarnation, mark] of writers) {
      const key = writerKey(partition, incarnation);
      if (mark === undefined) this.#del(key);
      else this.#putSealed(key, { sequence: mark.sequence, time: mark.time });
    }
  }

  fates(partition: Partition, fates: ReadonlyMap<Offset, Fate | undefined>): void {
    for (const [offset, fate] of fates) {
      const key = fateKey(partition, offset);
      if (fate === undefined) this.#del(key);
      else this.#putSealed(key, fate === 'unknown' ? { unknown: true } : undefined);
    }
  }

  /** Writes the checkpoints that differ. */
  checkpoints(before: readonly Checkpoint[], after: readonly Checkpoint[]): void {
    for (let partition = 0; partition < after.length; partition++) {
      if (after[partition] !== before[partition]) this.#putSealed(checkpointKey(partition), after[partition]);
    }
  }

  identity(identity: StoreIdentity): void {
    this.#putSealed(identityKey, identity);
  }

  /** A row as it stands in another store, checksum and all. */
  row(key: Uint8Array, row: Uint8Array): void {
    this.#put(key, row);
  }

  /** The journal's part. Nothing may be added afterwards. */
  finish(): void {
    const { sequence, dropped, oldest } = this.#state.journal.advance(this.bytes);
    for (let old = dropped; old < oldest; old++) this.#del(journalKey(old));
    this.#putSealed(journalKey(sequence), { oldest });
  }

  write(sync: boolean): Promise<void> {
    return this.#operations.write({ sync });
  }

  /** Gives up. */
  close(): Promise<void> {
    return this.#operations.close();
  }

  #put(key: Uint8Array, row: Uint8Array): void {
    this.#operations.put(key, row);
    this.bytes += key.length + row.length + ROW_OVERHEAD_BYTES;
  }

  #putSealed(key: Uint8Array, content?: object): void {
    this.#put(key, seal(key, content));
  }

  #del(key: Uint8Array): void {
    this.#operations.del(key);
    this.bytes += key.length + ROW_OVERHEAD_BYTES;
  }
}
