/** The lines of a file with their places, read piece by piece. */
import type { FileHandle } from 'node:fs/promises';
import { Damaged } from '../../wire/export-reader.ts';

export interface FileLine {
  /** Without its newline. */
  readonly bytes: Buffer;
  /** Where it begins, and where the next one does. */
  readonly start: number;
  readonly end: number;
  /** False: the file ends without a newline, in the middle of a line perhaps. */
  readonly whole: boolean;
}

const pieceBytes = 256 * 1024;
/** What nodes write at most is far below. */
const maxLineBytes = 512 * 1024 * 1024;

/** `hear` gets every piece as it is read. Errors: `Damaged` for a line without end. */
export async function* linesIn(
  file: FileHandle,
  { from, to }: { readonly from: number; readonly to: number },
  hear: (piece: Uint8Array) => void = () => undefined,
): AsyncGenerator<FileLine, void, undefined> {
  let begun: Buffer[] = [];
  let start = from;
  let length = 0;
  for (let at = from; at < to; ) {
    const piece = Buffer.allocUnsafe(Math.min(pieceBytes, to - at));
    const { bytesRead } = await file.read(piece, 0, piece.length, at);
    if (bytesRead === 0) break;
    const read = piece.subarray(0, bytesRead);
    hear(read);
    let next = 0;
    for (let newline = read.indexOf(0x0a); newline >= 0; newline = read.indexOf(0x0a, next)) {
      begun.push(read.subarray(next, newline));
      const end = at + newline + 1;
      yield { bytes: begun.length === 1 ? (begun[0] as Buffer) : Buffer.concat(begun), start, end, whole: true };
      begun = [];
      length = 0;
      start = end;
      next = newline + 1;
    }
    begun.push(read.subarray(next));
    length += bytesRead - next;
    if (length > maxLineBytes) throw new Damaged('a line has no end');
    at += bytesRead;
  }
  if (length > 0) yield { bytes: Buffer.concat(begun), start, end: start + length, whole: false };
}
