/**
 * CRC-32C (Castagnoli), which LevelDB protects its blocks with and Kafka its record batches; Node's own crc32 is of another polynomial. Eight
 * bytes at a time.
 */

type Four = readonly [Int32Array, Int32Array, Int32Array, Int32Array];
type Tables = readonly [...Four, ...Four];

/** For a polynomial with its bits reversed: table `t` takes a byte that has `t` more behind it. */
export function crcTables(polynomial: number): Tables {
  const tables = Array.from({ length: 8 }, () => new Int32Array(256));
  for (let n = 0; n < 256; n++) {
    let crc = n;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ polynomial : crc >>> 1;
    tables[0]![n] = crc;
  }
  for (let n = 0; n < 256; n++) {
    for (let t = 1; t < 8; t++) {
      const before = tables[t - 1]![n]!;
      tables[t]![n] = (before >>> 8) ^ tables[0]![before & 255]!;
    }
  }
  return tables as unknown as Tables;
}

const [T0, T1, T2, T3, T4, T5, T6, T7] = crcTables(0x82f63b78);

/** Of the bytes from `start` to before `end`. An unsigned 32-bit number. */
export function crc32c(bytes: Uint8Array, start = 0, end = bytes.length): number {
  let crc = 0xffffffff;
  let i = start;
  for (; i + 8 <= end; i += 8) {
    crc ^= bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24);
    crc = T7[crc & 255]! ^ T6[(crc >>> 8) & 255]! ^ T5[(crc >>> 16) & 255]! ^ T4[crc >>> 24]!;
    crc ^= T3[bytes[i + 4]!]! ^ T2[bytes[i + 5]!]! ^ T1[bytes[i + 6]!]! ^ T0[bytes[i + 7]!]!;
  }
  for (; i < end; i++) crc = (crc >>> 8) ^ T0[(crc ^ bytes[i]!) & 255]!;
  return ~crc >>> 0;
}
