/**
 * Reads a Snappy block, as LevelDB compresses with it. Only the index of a table has to be read here, so it need not be fast.
 *
 *     block   = length varint, element*
 *     element = tag u8, ...      low two bits 0: literal; 1, 2, 4-byte offset: copy of what was written `offset` bytes ago
 *
 * Format: google/snappy, format_description.txt.
 */

/** Undefined when it is not a whole and valid block. */
export function unsnappy(block: Uint8Array): Uint8Array | undefined {
  let at = 0;
  let length = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = block[at++];
    if (byte === undefined || shift > 28) return undefined;
    length += (byte & 127) * 2 ** shift;
    if (byte < 128) break;
  }
  // No element writes more than 64 bytes for two of its own, so a longer claim is none.
  if (length > block.length * 64) return undefined;
  const out = new Uint8Array(length);
  let written = 0;
  while (at < block.length) {
    const tag = block[at++]!;
    const kind = tag & 3;
    const isLiteral = kind === 0;
    const lengthBytes = isLiteral && tag >>> 2 >= 60 ? (tag >>> 2) - 59 : 0;
    let size = kind === 1 ? ((tag >>> 2) & 7) + 4 : (tag >>> 2) + 1;
    if (lengthBytes > 0) size = littleEndian(block, at, lengthBytes) + 1;
    at += lengthBytes;
    if (isLiteral) {
      if (at + size > block.length || written + size > length) return undefined;
      out.set(block.subarray(at, at + size), written);
      at += size;
      written += size;
      continue;
    }
    const offsetBytes = kind === 1 ? 1 : kind === 2 ? 2 : 4;
    const offset = littleEndian(block, at, offsetBytes) + (kind === 1 ? (tag >>> 5) * 256 : 0);
    at += offsetBytes;
    if (offset === 0 || offset > written || written + size > length) return undefined;
    // Byte by byte: a copy may reach into what it is writing.
    for (let i = 0; i < size; i++, written++) out[written] = out[written - offset]!;
  }
  return written === length ? out : undefined;
}

/** Of up to four bytes; what is missing reads as 0 and is found out by the lengths. */
function littleEndian(bytes: Uint8Array, at: number, count: number): number {
  let value = 0;
  for (let i = count - 1; i >= 0; i--) value = value * 256 + (bytes[at + i] ?? 0);
  return value;
}
