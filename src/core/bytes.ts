/**
 * Text and bytes. Keys are UTF-8 on the wire and strings inside; `Buffer` is used for its speed (it is a global, no import), and any
 * `Uint8Array` is taken.
 */

type Slice = (this: Uint8Array, start: number, end: number) => string;
const native = Buffer.prototype as unknown as { readonly utf8Slice: Slice; readonly latin1Slice: Slice };

/** UTF-8 bytes of a string. */
export function bytesOf(text: string): Uint8Array {
  return Buffer.from(text, 'utf8');
}

/** Bytes of a string that is known to be ASCII: header names and numbers. */
export function asciiBytes(text: string): Uint8Array {
  return Buffer.from(text, 'latin1');
}

/** One character a byte: for headers, which we write in ASCII. */
export function asciiOf(bytes: Uint8Array): string {
  return native.latin1Slice.call(bytes, 0, bytes.length);
}

/** Text with U+FFFD for what is not UTF-8. */
export function looseTextOf(bytes: Uint8Array): string {
  return native.utf8Slice.call(bytes, 0, bytes.length);
}

/** The text, or undefined when the bytes are not UTF-8. Text that itself holds U+FFFD is told apart by writing it back. */
export function textOf(bytes: Uint8Array): string | undefined {
  const text = looseTextOf(bytes);
  if (!text.includes('\uFFFD')) return text;
  return Buffer.compare(bytesOf(text), bytes) === 0 ? text : undefined;
}
