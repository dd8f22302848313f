/** Reads what snapshot-file.ts has written, or a node has sent, and believes nothing: its frames must be whole, in order, and end where the file does. */
import { type FileHandle, open } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { BitacoraError } from '../../src/core/errors.ts';
import { type Frame, FrameReader, type SnapshotTold, snapshotFormat } from '../../wire/snapshot-frames.ts';
import { formatIn, readEnd, readHead } from '../../wire/snapshot-head.ts';
import { eachRow } from '../../wire/snapshot-rows.ts';
import type { KeptSnapshot } from './kept-snapshot.ts';

const PIECE_BYTES = 1024 * 1024;
/** A frame holds one row, or rows of a quarter of a megabyte. */
const MOST_FRAME_BYTES = 64 * 1024 * 1024;

/** Reads the head. Errors: `store-damaged` (no backup, of another format, cut off), `store-failed` (it cannot be read). */
export async function openSnapshotFile(path: string): Promise<KeptSnapshot> {
  const file = await open(path, 'r').catch(failed(path));
  try {
    const { size } = await file.stat().catch(failed(path));
    const head = await headOf(path, file);
    return {
      format: head.format,
      identity: head.identity,
      checkpoints: head.checkpoints,
      bytes: size,
      runs: () => runsIn(path, file),
      close: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function headOf(path: string, file: FileHandle): Promise<SnapshotTold> {
  for await (const frame of framesIn(path, file)) return headIn(path, frame);
  throw damaged(path, 'it is empty, or cut off in its head');
}

function headIn(path: string, { kind, body, checksum }: Frame): SnapshotTold {
  if (kind !== 'head') throw damaged(path, 'it does not begin as a backup does');
  if (crc32(body) !== checksum) throw damaged(path, 'its head has changed: the checksum does not fit');
  const head = readHead(body);
  if (head !== undefined) return head;
  const format = formatIn(body);
  if (format === undefined || format === snapshotFormat) throw damaged(path, 'its head cannot be understood');
  throw damaged(path, `it is of format ${format}, made by a newer version perhaps; this version reads format ${snapshotFormat}`);
}

async function* runsIn(path: string, file: FileHandle): AsyncGenerator<Uint8Array, void, undefined> {
  let [rows, checksum, headed, ended] = [0, 0, false, false];
  for await (const frame of framesIn(path, file)) {
    if (ended) throw damaged(path, 'something stands behind its end');
    if (!headed) {
      headIn(path, frame);
      headed = true;
    } else if (frame.kind === 'rows') {
      checksum = crc32(frame.body, checksum);
      if (checksum !== frame.checksum) throw damaged(path, `what follows row ${rows} has changed: the checksum does not fit`);
      rows += eachRow(frame.body, () => undefined);
      yield frame.body;
    } else {
      const end = frame.kind === 'end' && crc32(frame.body) === frame.checksum ? readEnd(frame.body) : undefined;
      if (end === undefined) throw damaged(path, `its frames are not in order behind row ${rows}`);
      if (end.rows !== rows || end.checksum !== checksum) throw damaged(path, `there are ${rows} rows where ${end.rows} should be`);
      ended = true;
    }
  }
  if (!ended) throw damaged(path, `it is cut off behind row ${rows}: the end is missing`);
}

/** Whole frames; what comes behind the last of them must be nothing. */
async function* framesIn(path: string, file: FileHandle): AsyncGenerator<Frame, void, undefined> {
  const reader = new FrameReader(MOST_FRAME_BYTES);
  for (let at = 0; ; ) {
    const piece = Buffer.allocUnsafe(PIECE_BYTES);
    const { bytesRead } = await file.read(piece, 0, piece.length, at).catch(failed(path));
    if (bytesRead === 0) break;
    if (at === 0 && piece[0] === 0x7b) throw damaged(path, 'it is no backup; if it is an export, `bitacora import` takes it');
    at += bytesRead;
    const frames = reader.read(piece.subarray(0, bytesRead));
    if (frames === undefined) throw damaged(path, `it is no backup, or has changed, somewhere before byte ${at}`);
    yield* frames;
  }
  if (!reader.between) throw damaged(path, 'it is cut off in the middle of a frame');
}

function damaged(path: string, reason: string): BitacoraError {
  return new BitacoraError('store-damaged', `${path}: ${reason}`);
}

function failed(path: string): (error: unknown) => never {
  return (error) => {
    throw new BitacoraError('store-failed', `${path}: ${(error as Error).message}`, { cause: error });
  };
}
