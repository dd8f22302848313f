/** CRC-32C (Castagnoli), which LevelDB protects its blocks with; Node's own crc32 is of another polynomial. Four bytes at a time. */

type Tables = readonly [Int32Array, Int32Array, Int32Array, Int32Array];

/** For a polynomial with its bits reversed: table `t` takes a byte that has `t` more behind it. */
export function crcTables(polynomial: number): Tables {
  const tables = Array.from({ length: 4 }, () => new Int32Array(256));
  for (let n = 0; n < 256; n++) {
    let crc = n;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ polynomial : crc >>> 1;
    tables[0]![n] = crc;
  }
  for (let n = 0; n < 256; n++) {
    for (let t = 1; t < 4; t++) {
      const before = tables[t - 1]![n]!;
      tables[t]![n] = (before >>> 8) ^ tables[0]![before & 255]!;
    }
  }
  return tables as unknown as Tables;
}

const [T0, T1, T2, T3] = crcTables(0x82f63b78);

/** Of the bytes from `start` to before `end`. An unsigned 32-bit number. */
export function crc32c(bytes: Uint8Array, start = 0, end = bytes.length): number {
  let crc = 0xffffffff;
  let i = start;
  for (; i + 4 <= end; i += 4) {
    crc ^= bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24);
    crc = T3[crc & 255]! ^ T2[(crc >>> 8) & 255]! ^ T1[(crc >>> 16) & 255]! ^ T0[crc >>> 24]!;
  }
  for (; i < end; i++) crc = (crc >>> 8) ^ T0[(crc ^ bytes[i]!) & 255]!;
  return ~crc >>> 0;
}
