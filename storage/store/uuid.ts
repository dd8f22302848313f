/**
 * Uuids in 16 bytes. Only the canonical lower-case form is taken, so that reading gives back exactly what was written; anything else that
 * looks like a uuid stays text.
 */

const DIGITS = '0123456789abcdef';
/** The value of a lower-case hexadecimal digit by its character code; 255: not one. */
const VALUE = new Uint8Array(256).fill(255);
for (let i = 0; i < 16; i++) VALUE[DIGITS.charCodeAt(i)] = i;
/** Where the 16 pairs of digits begin in the text. */
const PAIRS = Uint8Array.of(0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34);
const DASH = 0x2d;
/** The text under construction: one string made at the end is cheaper than sixteen joined. */
const scratch = Buffer.alloc(36, '-');

const asBytes = new Uint8Array(36);

/** Writes `text` at `at` if it is a canonical uuid, and says whether it was. Otherwise what stands there is undefined. */
export function writeUuid(into: Uint8Array, at: number, text: string): boolean {
  if (text.length !== 36) return false;
  // Beyond ASCII there is no uuid.
  for (let i = 0; i < 36; i++) asBytes[i] = Math.min(text.charCodeAt(i), 255);
  return writeUuidBytes(into, at, asBytes);
}

/** As `writeUuid`, of a text in bytes. */
export function writeUuidBytes(into: Uint8Array, at: number, text: Uint8Array): boolean {
  if (text.length !== 36 || text[8] !== DASH || text[13] !== DASH || text[18] !== DASH || text[23] !== DASH) return false;
  for (let i = 0; i < 16; i++) {
    const pair = PAIRS[i]!;
    const high = VALUE[text[pair]!]!;
    const low = VALUE[text[pair + 1]!]!;
    if ((high | low) > 15) return false;
    into[at + i] = (high << 4) | low;
  }
  return true;
}

/** The uuid in the 16 bytes at `at`. */
export function uuidAt(from: Uint8Array, at: number): string {
  for (let i = 0; i < 16; i++) {
    const byte = from[at + i]!;
    const pair = PAIRS[i]!;
    scratch[pair] = DIGITS.charCodeAt(byte >>> 4);
    scratch[pair + 1] = DIGITS.charCodeAt(byte & 15);
  }
  return scratch.toString('latin1', 0, 36);
}
