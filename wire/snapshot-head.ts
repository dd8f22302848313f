/** What is said of a store before and behind its rows. It is somebody's claim: looked at in every field before anything is done with it. */
import type { Checkpoint, StoreIdentity } from '../src/ports.ts';
import { type SnapshotEnd, type SnapshotTold, snapshotFormat } from './snapshot-frames.ts';

const maxNameLength = 200;

/** Undefined: it is no head. */
export function readHead(body: Uint8Array): SnapshotTold | undefined {
  const told = objectIn(body);
  if (told === undefined || told['snapshot'] !== snapshotFormat) return undefined;
  const { name, format } = told;
  const identity = readIdentity(told['identity']);
  const checkpoints = Array.isArray(told['checkpoints']) ? told['checkpoints'].map(readCheckpoint) : [];
  if (typeof name !== 'string' || name === '' || name.length > maxNameLength || !isCount(format)) return undefined;
  if (identity === undefined || checkpoints.length !== identity.partitions) return undefined;
  if (!checkpoints.every((checkpoint) => checkpoint !== undefined)) return undefined;
  return { snapshot: snapshotFormat, name, format, identity, checkpoints };
}

/** Of a head, one that `readHead` cannot read, too; undefined: it is none. */
export function formatIn(body: Uint8Array): number | undefined {
  const { snapshot } = objectIn(body) ?? {};
  return isCount(snapshot) ? snapshot : undefined;
}

/** Undefined: it is no end. */
export function readEnd(body: Uint8Array): SnapshotEnd | undefined {
  const { rows, checksum } = objectIn(body) ?? {};
  return isCount(rows) && isCount(checksum) ? { rows, checksum } : undefined;
}

/** Of the same snapshot. */
export function isSameHead(a: SnapshotTold, b: SnapshotTold): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

type Fields = Readonly<Record<string, unknown>>;

function objectIn(body: Uint8Array): Fields | undefined {
  try {
    return fieldsOf(JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString()));
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function fieldsOf(value: unknown): Fields | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : undefined;
}

function readIdentity(value: unknown): StoreIdentity | undefined {
  const { format, clusterId, topic, partitions, genesis } = fieldsOf(value) ?? {};
  if (!isCount(format) || typeof clusterId !== 'string' || typeof topic !== 'string' || !isCount(partitions)) return undefined;
  if (genesis === undefined) return { format, clusterId, topic, partitions, genesis };
  const { id, partition, offset } = fieldsOf(genesis) ?? {};
  if (typeof id !== 'string' || !isCount(partition) || partition >= partitions || !isCount(offset)) return undefined;
  return { format, clusterId, topic, partitions, genesis: { id, partition, offset } as NonNullable<StoreIdentity['genesis']> };
}

function readCheckpoint(value: unknown): Checkpoint | undefined {
  const { next, entries, logTime, atEnd, whole, fatesFrom } = fieldsOf(value) ?? {};
  const counts = [next, entries, logTime, atEnd, fatesFrom];
  if (!counts.every(isCount) || typeof whole !== 'boolean') return undefined;
  return { next, entries, logTime, atEnd, whole, fatesFrom } as Checkpoint;
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
