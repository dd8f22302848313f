/**
 * A snapshot of a store as it travels from one node to another, in the body of one or several HTTP answers.
 *
 *     stream = head frame, rows frame*, end frame
 *     frame  = kind u8 ("H", "R", "E"), length u32le, checksum u32le, body of that length
 *     head   = JSON: `SnapshotTold`          end = JSON: `SnapshotEnd`          rows: snapshot-rows.ts
 *
 * The checksum of a head and of an end is the CRC-32 of the body. That of a rows frame is the CRC-32 of all rows of the snapshot up to the end of
 * this body, so that a frame that is missing, repeated or changed is noticed at the next one, and it is the same however the rows
 * are cut into frames. A stream that goes on where another broke off continues from the checksum that the taker says it has come to.
 */
import { crc32 } from 'node:zlib';
import type { SnapshotHead } from '../src/ports.ts';

/** Of the stream. */
export const snapshotFormat = 1;
export const snapshotType = 'application/vnd.bitacora.snapshot';
export const snapshotPath = '/v1/snapshot';

const FRAME_HEAD_BYTES = 9;

/** The head of a stream. */
export interface SnapshotTold extends SnapshotHead {
  readonly snapshot: typeof snapshotFormat;
  /** By which it can be gone on with, as long as its giver keeps it. */
  readonly name: string;
}

/** What stands before it, from the first row of the snapshot on. */
export interface SnapshotEnd {
  readonly rows: number;
  readonly checksum: number;
}

const kinds = { head: 0x48, rows: 0x52, end: 0x45 } as const;
export type FrameKind = keyof typeof kinds;

export interface Frame {
  readonly kind: FrameKind;
  readonly checksum: number;
  /** Bytes of its own. */
  readonly body: Buffer;
}

/** What goes before a body of rows. `checksum`: of all rows up to its end. */
export function rowsFrameHead(length: number, checksum: number): Buffer {
  return frameHead('rows', length, checksum);
}

/** A whole head or end. */
export function jsonFrame(kind: 'head' | 'end', content: SnapshotTold | SnapshotEnd): Buffer {
  const body = Buffer.from(JSON.stringify(content));
  return Buffer.concat([frameHead(kind, body.length, crc32(body)), body]);
}

function frameHead(kind: FrameKind, length: number, checksum: number): Buffer {
  const bytes = Buffer.allocUnsafe(FRAME_HEAD_BYTES);
  bytes[0] = kinds[kind];
  bytes.writeUInt32LE(length, 1);
  bytes.writeUInt32LE(checksum, 5);
  return bytes;
}

/** Puts frames together from whatever pieces a connection brings. */
export class FrameReader {
  readonly #maxBodyBytes: number;
  readonly #head = Buffer.alloc(FRAME_HEAD_BYTES);
  #headBytes = 0;
  #body: Buffer | undefined;
  #bodyBytes = 0;

  constructor(maxBodyBytes: number) {
    this.#maxBodyBytes = maxBodyBytes;
  }

  /** No frame is begun. */
  get between(): boolean {
    return this.#headBytes === 0 && this.#body === undefined;
  }

  /** The frames that `piece` completes; undefined: what came is no frame, or over the limit. */
  read(piece: Uint8Array): Frame[] | undefined {
    const frames: Frame[] = [];
    for (let at = 0; at < piece.length; ) {
      if (this.#body === undefined) {
        const part = piece.subarray(at, at + FRAME_HEAD_BYTES - this.#headBytes);
        this.#head.set(part, this.#headBytes);
        this.#headBytes += part.length;
        at += part.length;
        if (this.#headBytes < FRAME_HEAD_BYTES) break;
        const length = this.#head.readUInt32LE(1);
        // None is empty.
        if (this.#kind === undefined || length === 0 || length > this.#maxBodyBytes) return undefined;
        this.#body = Buffer.allocUnsafeSlow(length);
        this.#bodyBytes = 0;
      } else {
        const part = piece.subarray(at, at + this.#body.length - this.#bodyBytes);
        this.#body.set(part, this.#bodyBytes);
        this.#bodyBytes += part.length;
        at += part.length;
        if (this.#bodyBytes < this.#body.length) break;
        frames.push({ kind: this.#kind as FrameKind, checksum: this.#head.readUInt32LE(5), body: this.#body });
        this.#body = undefined;
        this.#headBytes = 0;
      }
    }
    return frames;
  }

  get #kind(): FrameKind | undefined {
    return (Object.keys(kinds) as FrameKind[]).find((kind) => kinds[kind] === this.#head[0]);
  }
}
