/**
 * Checks LevelDB's tables as files, block by block, by the checksums that LevelDB writes and does not look at when it reads.
 *
 * The checksum of a row (row.ts) says that a value is the key's own. It cannot say that it is the newest: a flipped bit in the sequence
 * number beside a key, or in a table's filter or index, hides a row, and LevelDB goes on to an older one, as sound as it is outdated.
 *
 *     table  = data block*, [filter block], metaindex block, index block, footer (48 bytes)
 *     block  = contents, type u8 (0 plain, 1 Snappy), crc u32le: CRC-32C of contents and type, rotated by 15 and added to a constant
 *     footer = metaindex handle, index handle, padding, magic u64        handle = offset varint, size varint
 *     entry of the index = shared varint, unshared varint, size varint, unshared bytes of key, value: a handle
 *
 * Format: google/leveldb, doc/table_format.md.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Level } from '../level.ts';
import { crc32c } from './crc32c.ts';
import { unsnappy } from './snappy.ts';

const FOOTER_BYTES = 48;
const MAGIC = Buffer.from('57fb808b247547db', 'hex');
/** So many bytes are checked before the event loop runs again: two to three milliseconds. */
const CHUNK_BYTES = 1024 * 1024;

/** What is wrong with a table. */
interface Fault {
  readonly reason: string;
  /** Its end is missing. */
  readonly unfinished: boolean;
}

interface Handle {
  readonly offset: number;
  readonly size: number;
}

/** Checks every table that is in use. Resolves with what is wrong with the first bad one; undefined: nothing, or `signal` has ended it. */
export async function checkTables(level: Level, signal?: AbortSignal): Promise<string | undefined> {
  for (const number of tablesOf(level)) {
    if (signal?.aborted) return undefined;
    const fault = await checkTable(join(level.location, fileName(number)), signal);
    // Compaction may have replaced it since.
    if (fault !== undefined && tablesOf(level).includes(number)) return `table ${fileName(number)}: ${fault.reason}`;
  }
  return undefined;
}

/**
 * Checks the tables of a LevelDB that is not open. It must be done before LevelDB opens it, as a compaction that begins then may rewrite a
 * damaged table with checksums that fit. The answer is asked of the open LevelDB, which knows its tables: one without an end may be what a
 * killed process left of an unfinished compaction, and belongs to nothing; and LevelDB may have written a sound one over it as it opened.
 */
export async function checkDirectory(directory: string): Promise<(level: Level) => Promise<string | undefined>> {
  const faults = new Map<number, Fault>();
  for (const name of await readdir(directory).catch(() => [])) {
    const number = Number(/^(\d+)\.ldb$/.exec(name)?.[1] ?? Number.NaN);
    const fault = Number.isNaN(number) ? undefined : await checkTable(join(directory, name));
    if (fault !== undefined) faults.set(number, fault);
  }
  return async (level) => {
    const inUse = new Set(tablesOf(level));
    for (const [number, { reason, unfinished }] of faults) {
      if (unfinished && !inUse.has(number)) continue;
      if (unfinished && (await checkTable(join(directory, fileName(number)))) === undefined) continue;
      return `table ${fileName(number)}: ${reason}`;
    }
    return undefined;
  };
}

const fileName = (number: number): string => `${String(number).padStart(6, '0')}.ldb`;

/** The numbers of the tables, from LevelDB's list of them: ` 17:2101234['first key' @ ... .. 'last key' @ ...]`. */
function tablesOf(level: Level): number[] {
  return [...level.getProperty('leveldb.sstables').matchAll(/^ (\d+):\d+\[/gm)].map((match) => Number(match[1]));
}

/** Undefined: nothing is wrong, or `signal` has ended it. */
async function checkTable(path: string, signal?: AbortSignal): Promise<Fault | undefined> {
  let file: Buffer;
  try {
    file = await readFile(path);
  } catch (error) {
    return { reason: (error as Error).message, unfinished: true };
  }
  const footer = file.subarray(-FOOTER_BYTES);
  if (footer.length < FOOTER_BYTES || !footer.subarray(-MAGIC.length).equals(MAGIC)) {
    return { reason: 'it has no footer', unfinished: true };
  }
  const cursor = new Cursor(footer);
  const indexes = [cursor.handle(), cursor.handle()];
  let checked = 0;
  for (const index of indexes) {
    const contents = contentsOf(file, index);
    const handles = contents && handlesIn(contents);
    if (handles === undefined) return { reason: `the index at ${index.offset} is damaged`, unfinished: false };
    for (const handle of handles) {
      if (!isSound(file, handle)) return { reason: `the block at ${handle.offset} is damaged`, unfinished: false };
      checked += handle.size;
      if (checked < CHUNK_BYTES) continue;
      checked = 0;
      await new Promise(setImmediate);
      if (signal?.aborted) return undefined;
    }
  }
  return undefined;
}

function isSound(file: Buffer, { offset, size }: Handle): boolean {
  const end = offset + size + 1;
  if (end + 4 > file.length) return false;
  const crc = crc32c(file, offset, end);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0 === file.readUInt32LE(end);
}

function contentsOf(file: Buffer, handle: Handle): Uint8Array | undefined {
  if (!isSound(file, handle)) return undefined;
  const contents = file.subarray(handle.offset, handle.offset + handle.size);
  return file[handle.offset + handle.size] === 0 ? contents : unsnappy(contents);
}

/** The handles that an index's entries hold; undefined when it makes no sense. */
function handlesIn(contents: Uint8Array): Handle[] | undefined {
  if (contents.length < 4) return undefined;
  const view = Buffer.from(contents.buffer, contents.byteOffset, contents.byteLength);
  // After the entries: places of restarts, and their number.
  const end = view.length - 4 - 4 * view.readUInt32LE(view.length - 4);
  const cursor = new Cursor(view);
  const handles: Handle[] = [];
  while (cursor.at < end) {
    cursor.varint();
    const unshared = cursor.varint();
    const size = cursor.varint();
    cursor.at += unshared;
    const next = cursor.at + size;
    handles.push(cursor.handle());
    cursor.at = next;
  }
  return cursor.at === Math.max(end, 0) && end >= 0 ? handles : undefined;
}

/** Reads varints one after the other; beyond the end there are zeros. */
class Cursor {
  readonly #bytes: Uint8Array;
  at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  varint(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.#bytes[this.at++] ?? 0;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  }

  handle(): Handle {
    return { offset: this.varint(), size: this.varint() };
  }
}
