/**
 * The key space of the LevelDB under a store. One letter names the family, what follows sorts within it:
 *
 *     a <partition u32be> <answer key>     answer to an idempotency key
 *     c <partition u32be>                  checkpoint of a partition
 *     e <key, UTF-8>                       entry; so entries lie in byte order of their keys, over all partitions
 *     f <partition u32be> <offset u64be>   fate of a record, unless it had its effect; with content: it is unknown
 *     i                                    identity
 *     j <sequence u48be>                   journal: one row for each batch of late (see journal.ts)
 *     u <key, UTF-8>                       the key's entry is not settled; with content: it is doubtful
 *     w <partition u32be> <incarnation>    writer mark
 *
 * Keys are taken as well-formed Unicode, which whatever was decoded from UTF-8 is.
 */

/** A family's letter, as the byte that begins each of its keys. */
export const family = {
  ...{ answer: 0x61, checkpoint: 0x63, entry: 0x65, fate: 0x66, identity: 0x69 },
  ...{ journal: 0x6a, unsettled: 0x75, writer: 0x77 },
} as const;

export type Family = (typeof family)[keyof typeof family];

/**
 * Whether a row goes to another node with a snapshot (snapshot-giver.ts): all do but the journal, which tells of this store's own batches, and
 * identity and checkpoints, which are told before and written last.
 */
export function travels(key: Uint8Array): boolean {
  const of = key[0];
  return of !== family.checkpoint && of !== family.identity && of !== family.journal;
}

/** The range of a whole family, for an iterator. */
export function rangeOf(of: Family): { gte: Uint8Array; lt: Uint8Array } {
  return { gte: Uint8Array.of(of), lt: Uint8Array.of(of + 1) };
}

/** `e` or `u`, and a key. */
export function keyed(of: Family, key: string): Buffer {
  const bytes = Buffer.allocUnsafe(1 + Buffer.byteLength(key));
  bytes[0] = of;
  bytes.write(key, 1);
  return bytes;
}

/** The text after a family's letter (and `skip` further bytes). */
export function textAfter(bytes: Uint8Array, skip = 0): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8', 1 + skip);
}

export function checkpointKey(partition: number): Buffer {
  const bytes = Buffer.allocUnsafe(5);
  bytes[0] = family.checkpoint;
  bytes.writeUInt32BE(partition, 1);
  return bytes;
}

export const identityKey: Buffer = Buffer.of(family.identity);

export function journalKey(sequence: number): Buffer {
  const bytes = Buffer.allocUnsafe(7);
  bytes[0] = family.journal;
  bytes.writeUIntBE(sequence, 1, 6);
  return bytes;
}

export function journalSequence(key: Uint8Array): number {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).readUIntBE(1, 6);
}

/** The beginning of all writer marks of a partition, or with `incarnation` the key of one. */
export function writerKey(partition: number, incarnation = ''): Buffer {
  return inPartition(family.writer, partition, incarnation);
}

/** The beginning of all answers of a partition, or with `id` the key of one. */
export function answerRowKey(partition: number, id = ''): Buffer {
  return inPartition(family.answer, partition, id);
}

/** A key in a partition's range of fates. */
export function fateKey(partition: number, offset: number): Buffer {
  const bytes = Buffer.allocUnsafe(13);
  bytes[0] = family.fate;
  bytes.writeUInt32BE(partition, 1);
  bytes.writeBigUInt64BE(BigInt(offset), 5);
  return bytes;
}

export function fateOffset(key: Uint8Array): number {
  return Number(Buffer.from(key.buffer, key.byteOffset, key.byteLength).readBigUInt64BE(5));
}

function inPartition(of: Family, partition: number, text: string): Buffer {
  const bytes = Buffer.allocUnsafe(5 + Buffer.byteLength(text));
  bytes[0] = of;
  bytes.writeUInt32BE(partition, 1);
  bytes.write(text, 5);
  return bytes;
}
