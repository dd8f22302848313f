/** Values for tests of stores. */
import type { Checkpoint, Entry, Fate, Millis, Offset, Partition, StoreBatch, StoreIdentity, WriterMark } from '../../src/ports.ts';

export function entryWith(changes: Partial<Entry> = {}): Entry {
  return {
    version: 7 as Offset,
    newest: 7 as Offset,
    settled: true,
    deleted: false,
    value: Buffer.from('value'),
    time: 1_700_000_000_123 as Millis,
    expires: 0 as Millis,
    id: '0f8fad5b-d9cb-469f-a165-70867728950e',
    by: 'node-1/3/42',
    contentType: '',
    ...changes,
  };
}

export function checkpointWith(
  changes: { next?: number; entries?: number; logTime?: number; atEnd?: number; whole?: boolean; fatesFrom?: number } = {},
): Checkpoint {
  const { next = 0, entries = 0, logTime = 0, atEnd = 0, whole = true, fatesFrom = 0 } = changes;
  return { next: next as Offset, entries, logTime: logTime as Millis, atEnd: atEnd as Millis, whole, fatesFrom: fatesFrom as Offset };
}

export function identityWith(changes: Partial<StoreIdentity> = {}): StoreIdentity {
  return { format: 1, clusterId: 'cluster', topic: 'topic', partitions: 2, genesis: undefined, ...changes };
}

export interface BatchOptions {
  readonly partition?: number;
  readonly checkpoint?: Checkpoint;
  readonly writers?: Iterable<[string, WriterMark | undefined]>;
  readonly fates?: Iterable<[number, Fate | undefined]>;
  readonly identity?: StoreIdentity;
}

export function batchOf(entries: Iterable<[string, Entry | undefined]>, options: BatchOptions = {}): StoreBatch {
  const { partition = 0, checkpoint = checkpointWith(), writers = [], fates = [], identity } = options;
  const changed = { entries: new Map(entries), writers: new Map(writers), fates: new Map(fates) as Map<Offset, Fate | undefined> };
  const batch = { partition: partition as Partition, checkpoint, ...changed };
  return identity === undefined ? batch : { ...batch, identity };
}

/** With the value as plain bytes, so that a Buffer and a Uint8Array of the same content are equal. */
export function plain(entry: Entry | undefined): object | undefined {
  return entry && { ...entry, value: [...entry.value] };
}

export const partition = (n: number): Partition => n as Partition;
export const mark = (sequence: number, time: number): WriterMark => ({ sequence, time: time as Millis });
