/**
 * The framing of Avro's Netty transport, both directions.
 *
 * ```
 * frame  = serial:int32 count:int32 buffer{count}      big-endian; the answer to a call carries the call's serial number
 * buffer = length:int32 byte{length}                   the payload is the buffers one after another; where it is cut means nothing
 * ```
 *
 * Source: `NettyTransportCodec` of Avro for Java. Frames come in any pieces: many in one packet, one in many packets. Whatever a peer
 * announces is checked against a bound before a byte of it is kept.
 */
import { BitacoraError } from '../../src/core/errors.ts';

export interface FrameLimits {
  /** Payload of one frame. */
  readonly maxFrameBytes: number;
  /** Buffers of one frame. Java cuts at 8 KiB. */
  readonly maxBuffers: number;
}

export interface Frame {
  readonly serial: number;
  /** May share the memory of what was pushed: copy what is kept. */
  readonly payload: Buffer;
}

const headerBytes = 8;
const lengthBytes = 4;
/** Pieces of a payload are joined when so many have come: one byte a packet would cost a hundred bytes of memory each. */
const loosePieces = 256;

/** Cuts a stream into frames. After an error the stream is lost: nothing tells where the next frame begins. */
export class FrameReader {
  readonly #limits: FrameLimits;
  /** Bytes of a header or length that is not whole yet. */
  readonly #field = Buffer.alloc(headerBytes);
  #fieldLength = 0;
  /** Undefined: between two frames. */
  #serial: number | undefined;
  #buffersLeft = 0;
  /** Bytes still to come of the buffer under way; 0: a length comes next. */
  #bodyLeft = 0;
  #parts: Buffer[] = [];
  /** How many of the parts, at their end, are as they came. */
  #loose = 0;
  #bytes = 0;

  constructor(limits: FrameLimits) {
    this.#limits = limits;
  }

  /** A frame has begun and is not whole: a connection that ends now was cut off. */
  get inFrame(): boolean {
    return this.#serial !== undefined || this.#fieldLength > 0;
  }

  /** The frames that are whole with this chunk, in order. Errors: `bad-request`, in words for a log line; frames before it are lost with it. */
  push(chunk: Buffer): Frame[] {
    const frames: Frame[] = [];
    let at = 0;
    for (;;) {
      if (this.#serial !== undefined && this.#buffersLeft === 0) frames.push(this.#whole());
      if (at >= chunk.length) return frames;
      if (this.#bodyLeft > 0) {
        const taken = chunk.subarray(at, at + this.#bodyLeft);
        this.#keep(taken);
        at += taken.length;
        this.#bodyLeft -= taken.length;
        if (this.#bodyLeft === 0) this.#buffersLeft--;
        continue;
      }
      const wanted = this.#serial === undefined ? headerBytes : lengthBytes;
      if (this.#fieldLength === 0 && chunk.length - at >= wanted) {
        this.#take(chunk, at);
        at += wanted;
      } else {
        const copied = chunk.copy(this.#field, this.#fieldLength, at, at + wanted - this.#fieldLength);
        at += copied;
        this.#fieldLength += copied;
        if (this.#fieldLength < wanted) return frames;
        this.#fieldLength = 0;
        this.#take(this.#field, 0);
      }
    }
  }

  /** A header or a length, whole at `at`. */
  #take(bytes: Buffer, at: number): void {
    const { maxBuffers, maxFrameBytes } = this.#limits;
    if (this.#serial === undefined) {
      const count = bytes.readInt32BE(at + 4);
      if (count < 0 || count > maxBuffers)
        throw new BitacoraError('bad-request', `a frame of ${count} buffers; the limit is ${maxBuffers}`);
      this.#serial = bytes.readInt32BE(at);
      this.#buffersLeft = count;
      return;
    }
    const length = bytes.readInt32BE(at);
    this.#bytes += length;
    if (length < 0 || this.#bytes > maxFrameBytes) {
      throw new BitacoraError(
        'bad-request',
        `a frame of ${length < 0 ? length : this.#bytes} bytes or more; the limit is ${maxFrameBytes}`,
      );
    }
    this.#bodyLeft = length;
    if (length === 0) this.#buffersLeft--;
  }

  #keep(part: Buffer): void {
    this.#parts.push(part);
    if (++this.#loose < loosePieces) return;
    this.#parts.push(Buffer.concat(this.#parts.splice(-loosePieces)));
    this.#loose = 0;
  }

  #whole(): Frame {
    const parts = this.#parts;
    const frame = { serial: this.#serial as number, payload: parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts) };
    this.#serial = undefined;
    this.#parts = [];
    this.#loose = 0;
    this.#bytes = 0;
    return frame;
  }
}

/** Writes at `at` and returns where it ended, or, when there was no room, how many bytes were missing, below zero. As avsc's `encode`. */
export type Encode = (buffer: Buffer, at: number) => number;

const firstBytes = 64 * 1024;
/** A scratch larger than this is let go when it has been taken. */
const keptBytes = 1024 * 1024;

/** Gathers frames, so that those of one turn of the event loop leave in one write. */
export class FrameWriter {
  #scratch = Buffer.allocUnsafe(firstBytes);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Adds a frame whose payload the parts write one after another. An error of a part leaves the writer as it was. Returns the payload's bytes. */
  add(serial: number, ...parts: readonly Encode[]): number {
    const start = this.#length + headerBytes + lengthBytes;
    this.#room(start);
    let at = start;
    for (const part of parts) {
      let end = part(this.#scratch, at);
      // The shortfall is a lower bound for some values, so it may take more than one try.
      while (end < 0) {
        this.#room(Math.max(at - end, this.#scratch.length + 1));
        end = part(this.#scratch, at);
      }
      at = end;
    }
    this.#scratch.writeInt32BE(serial, this.#length);
    this.#scratch.writeInt32BE(1, this.#length + 4);
    this.#scratch.writeInt32BE(at - start, this.#length + headerBytes);
    this.#length = at;
    return at - start;
  }

  /** What was gathered, in memory of its own; the writer is empty again. */
  take(): Buffer {
    const taken = Buffer.from(this.#scratch.subarray(0, this.#length));
    this.#length = 0;
    if (this.#scratch.length > keptBytes) this.#scratch = Buffer.allocUnsafe(firstBytes);
    return taken;
  }

  #room(length: number): void {
    if (length <= this.#scratch.length) return;
    const larger = Buffer.allocUnsafe(Math.max(length, 2 * this.#scratch.length));
    // All of it: the parts of the frame under way have written beyond `#length`.
    this.#scratch.copy(larger);
    this.#scratch = larger;
  }
}
