/** The fields of a row: 64-bit integers and texts. Their grammar stands in row.ts. */

const TWO_32 = 0x1_0000_0000;

/**
 * Writes a safe integer in 8 bytes and returns where it ends. Plain byte stores: the Buffer methods check their arguments again for each
 * number, which costs more than the writing.
 */
export function writeInteger(into: Buffer, at: number, value: number): number {
  const high = Math.floor(value / TWO_32);
  into[at] = value;
  into[at + 1] = value >>> 8;
  into[at + 2] = value >>> 16;
  into[at + 3] = value >>> 24;
  into[at + 4] = high;
  into[at + 5] = high >>> 8;
  into[at + 6] = high >>> 16;
  into[at + 7] = high >>> 24;
  return at + 8;
}

export function readInteger(from: Buffer, at: number): number {
  const low = (from[at]! | (from[at + 1]! << 8) | (from[at + 2]! << 16) | (from[at + 3]! << 24)) >>> 0;
  const high = from[at + 4]! | (from[at + 5]! << 8) | (from[at + 6]! << 16) | (from[at + 7]! << 24);
  return high * TWO_32 + low;
}

/** A length and UTF-8; returns where it ends. */
export function writeText(into: Buffer, at: number, text: string): number {
  // A text of at most 84 UTF-16 units has at most 252 bytes, so its length fits the short form before it is known.
  const start = at + (text.length <= 84 ? 1 : 5);
  const end = writeUtf8(into, start, text);
  if (text.length <= 84) {
    into[at] = end - start;
  } else {
    into[at] = 255;
    into.writeUInt32LE(end - start, at + 1);
  }
  return end;
}

/** As `writeText`, of a text in bytes; -1 when it is empty, long or not ASCII, which is left to `writeText`. */
export function writeAscii(into: Buffer, at: number, text: Uint8Array): number {
  if (text.length === 0 || text.length > 84) return -1;
  into[at] = text.length;
  for (let i = 0; i < text.length; i++) {
    const code = text[i]!;
    if (code > 127) return -1;
    into[at + 1 + i] = code;
  }
  return at + 1 + text.length;
}

/** Returns where it ends. Most texts are short and ASCII, and for these a loop is over before a call to the runtime has begun. */
export function writeUtf8(into: Buffer, at: number, text: string): number {
  if (text.length > 100) return at + into.write(text, at);
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 127) return at + into.write(text, at);
    into[at + i] = code;
  }
  return at + text.length;
}

function textStart(from: Buffer, at: number): number {
  return from[at] === 255 ? at + 5 : at + 1;
}

export function textEnd(from: Buffer, at: number): number {
  return from[at] === 255 ? at + 5 + from.readUInt32LE(at + 1) : at + 1 + from[at]!;
}

export function textAt(from: Buffer, at: number): string {
  return from.toString('utf8', textStart(from, at), textEnd(from, at));
}
