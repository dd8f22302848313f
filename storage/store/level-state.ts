/** What a LevelDB store knows in memory, read once at open: all but the entries. */
import { BitacoraError } from '../../src/core/errors.ts';
import type { Checkpoint, StoreIdentity } from '../../src/ports.ts';
import type { Level } from '../level.ts';
import { Journal } from './journal.ts';
import { checkpointKey, family, identityKey, journalSequence, rangeOf, textAfter } from './keys.ts';
import { unseal } from './sealed.ts';

export interface LevelState {
  readonly identity: StoreIdentity | undefined;
  readonly checkpoints: readonly Checkpoint[];
  readonly unsettled: Set<string>;
  /** Those of them whose value is not known for certain. */
  readonly doubtful: Set<string>;
  readonly journal: Journal;
  /** No entry is stored. */
  readonly empty: boolean;
}

/** Errors: `store-damaged` when a row's checksum does not fit, or a row is missing that must be there. */
export async function readState(level: Level, writeBufferBytes: number): Promise<LevelState> {
  const journal = await readJournal(level, writeBufferBytes);
  const identity = await readIdentity(level);
  const empty = (await level.keys({ ...rangeOf(family.entry), limit: 1 }).all()).length === 0;
  if (identity === undefined && (journal.length > 0 || !empty)) {
    throw new BitacoraError('store-damaged', 'the identity is missing though there is data');
  }
  const checkpoints = await readCheckpoints(level, identity?.partitions ?? 0);
  const unsettled = new Set<string>();
  const doubtful = new Set<string>();
  for await (const [key, row] of level.iterator(rangeOf(family.unsettled))) {
    const said = unseal<{ doubtful: true } | undefined>(key, row, 'an unsettled key');
    unsettled.add(textAfter(key));
    if (said !== undefined) doubtful.add(textAfter(key));
  }
  return { identity, checkpoints, unsettled, doubtful, journal, empty };
}

/** The checkpoints of all partitions, of a snapshot when one is given. Errors: `store-damaged`. */
export async function readCheckpoints(level: Level, partitions: number, snapshot?: ReturnType<Level['snapshot']>): Promise<Checkpoint[]> {
  const keys = Array.from({ length: partitions }, (_, partition) => checkpointKey(partition));
  const rows = await level.getMany(keys, snapshot === undefined ? {} : { snapshot });
  return rows.map((row, partition) => {
    if (row === undefined) throw new BitacoraError('store-damaged', `the checkpoint of partition ${partition} is missing`);
    const checkpoint = unseal<Checkpoint>(keys[partition]!, row, `the checkpoint of partition ${partition}`);
    // One that was written before fates were kept: they are known from here on.
    return { ...checkpoint, fatesFrom: checkpoint.fatesFrom ?? checkpoint.next };
  });
}

/** The identity, of a snapshot when one is given; undefined: the store has none yet. Errors: `store-damaged`. */
export async function readIdentity(level: Level, snapshot?: ReturnType<Level['snapshot']>): Promise<StoreIdentity | undefined> {
  const row = await level.get(identityKey, snapshot === undefined ? {} : { snapshot });
  if (row === undefined) return undefined;
  // JSON leaves an undefined genesis out; the type wants the property there.
  const stored = unseal<Omit<StoreIdentity, 'genesis'> & { genesis?: StoreIdentity['genesis'] }>(identityKey, row, 'the identity');
  return { ...stored, genesis: stored.genesis };
}

async function readJournal(level: Level, writeBufferBytes: number): Promise<Journal> {
  const present: number[] = [];
  let oldest = 0;
  for await (const [key, row] of level.iterator(rangeOf(family.journal))) {
    present.push(journalSequence(key));
    oldest = unseal<{ oldest: number }>(key, row, 'a row of the journal').oldest;
  }
  return new Journal(present, oldest, writeBufferBytes);
}
