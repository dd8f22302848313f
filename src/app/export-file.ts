/** An export in a file: whether it is whole and undamaged, before anything is done with it, and the items in it. */
import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { Damaged, type ExportItem, ExportReader, itemOf } from '../../wire/export-reader.ts';
import { bytesOf } from '../core/bytes.ts';
import { linesIn } from './file-lines.ts';

export interface Range {
  readonly from: number;
  readonly to: number;
}

/** What a file holds. */
export interface CheckedFile {
  readonly bytes: number;
  /** Of all of it, in hexadecimal. */
  readonly sha256: string;
  /** Items to be taken from `ranges`. */
  readonly items: number;
  /** What the keys begin with; empty where there is no header. */
  readonly prefix: string;
  /** Where the items stand that count: a part that was gone on with counts up to its last cursor only. */
  readonly ranges: readonly Range[];
  /** Each key once, in the order of their bytes. */
  readonly ordered: boolean;
  /** Lines that cannot be understood. */
  readonly unreadable: number;
  /** Why it may not be taken for a whole export; undefined: it may. */
  readonly damage: string | undefined;
  /** From where it can be gone on with: the last cursor of what is good, and where its line ends. */
  readonly kept: { readonly cursor: string; readonly position: string; readonly end: number; readonly items: number } | undefined;
}

type Checked = Omit<CheckedFile, 'bytes' | 'sha256'>;

/** Reads it all. Errors: those of reading. */
export async function checkFile(file: FileHandle): Promise<CheckedFile> {
  const hash = createHash('sha256');
  const { size: bytes } = await file.stat();
  const reader = new ExportReader();
  const ranges: Range[] = [];
  let [start, items, number] = [0, 0, 0];
  let kept: CheckedFile['kept'];
  let damage: string | undefined;
  /** Of the first header: what the whole export reflects. */
  let position: string | undefined;
  for await (const line of linesIn(file, { from: 0, to: bytes }, (piece) => hash.update(piece))) {
    number++;
    // What follows is only summed up.
    if (damage !== undefined) continue;
    try {
      const told = reader.take(line.bytes);
      if (!line.whole) throw new Damaged('it is cut off here');
      if (told.kind === 'item') items++;
      if (told.kind === 'cursor') kept = { cursor: told.cursor, position: position ?? '', end: line.end, items };
      if (told.kind === 'end') ranges.push({ from: start, to: line.end });
      if (told.kind !== 'header') continue;
      position ??= told.position;
      if (kept !== undefined) {
        ranges.push({ from: start, to: kept.end });
        items = kept.items;
      }
      start = line.end;
    } catch (error) {
      if (!(error instanceof Damaged)) throw error;
      damage = `line ${number}: ${line.whole ? error.message : 'it is cut off here'}`;
    }
  }
  if (damage === undefined && !reader.whole) damage = number === 0 ? 'it is empty' : 'it is not whole: the end is missing';
  const { prefix = '' } = reader.header ?? {};
  return { bytes, sha256: hash.digest('hex'), items, prefix, ranges, ordered: true, unreadable: 0, damage, kept };
}

/** As `checkFile`, of a file of which whatever can be understood is to be taken, also one that no node has written. */
export async function checkPartly(file: FileHandle): Promise<CheckedFile> {
  const hash = createHash('sha256');
  const { size: bytes } = await file.stat();
  const found = { items: 0, prefix: '', ranges: [{ from: 0, to: bytes }], ordered: true, unreadable: 0 };
  let last: Uint8Array | undefined;
  for await (const line of linesIn(file, { from: 0, to: bytes }, (piece) => hash.update(piece))) {
    const item = readable(line.bytes);
    if (item === 'unreadable') found.unreadable++;
    else if (item === undefined) found.prefix ||= prefixIn(line.bytes);
    else {
      found.items++;
      const key = bytesOf(item.key);
      if (last !== undefined && Buffer.compare(last, key) >= 0) found.ordered = false;
      last = key;
    }
  }
  const checked: Checked = { ...found, damage: undefined, kept: undefined };
  return { bytes, sha256: hash.digest('hex'), ...checked };
}

/** An item of a file, and where its line ends. */
export interface FileItem extends ExportItem {
  readonly start: number;
  readonly end: number;
}

/** From a place on. Errors: `Damaged`, unless what cannot be understood is to be left out. */
export async function* itemsIn(
  file: FileHandle,
  { ranges }: Pick<CheckedFile, 'ranges'>,
  { from, partly }: { readonly from: number; readonly partly: boolean },
): AsyncGenerator<FileItem, void, undefined> {
  for (const range of ranges) {
    for await (const { bytes, start, end } of linesIn(file, { from: Math.max(range.from, from), to: range.to })) {
      const item = partly ? readable(bytes) : itemOf(bytes);
      if (item !== undefined && item !== 'unreadable') yield { ...item, start, end };
    }
  }
}

function readable(line: Uint8Array): ExportItem | undefined | 'unreadable' {
  try {
    return itemOf(line);
  } catch (error) {
    if (error instanceof Damaged) return 'unreadable';
    throw error;
  }
}

/** Of a line that is JSON. */
function prefixIn(line: Buffer): string {
  const { prefix } = JSON.parse(line.toString()) as { prefix?: unknown };
  return typeof prefix === 'string' ? prefix : '';
}
