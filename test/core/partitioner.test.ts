/** The partition of a key is the same for us, for Java's producers and for kafkajs's. */
import fc from 'fast-check';
import { Partitioners } from 'kafkajs';
import { describe, expect, test } from 'vitest';
import { bytesOf } from '../../src/core/bytes.ts';
import { murmur2, partitionOf } from '../../src/core/partitioner.ts';

/** From UtilsTest of Kafka's own clients. */
const golden: readonly (readonly [string, number])[] = [
  ['21', -973932308],
  ['foobar', -790332482],
  ['a-little-bit-long-string', -985981536],
  ['a-little-bit-longer-string', -1486304829],
  ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
  ['abc', 479470107],
];

describe('partitioner', () => {
  test.each(golden)('murmur2 of %s is as in Java', (text, hash) => expect(murmur2(bytesOf(text))).toBe(hash));

  test('the sign bit is cut off, not negated: Java takes toPositive', () => {
    expect(partitionOf(bytesOf('21'), 8)).toBe((-973932308 & 0x7fffffff) % 8);
  });

  test('bytes above 127 count as unsigned, and a view into a larger buffer hashes its own bytes only', () => {
    const view = new Uint8Array([1, 2, 255, 254, 128, 7, 9]).subarray(2, 5);
    expect(murmur2(view)).toBe(murmur2(new Uint8Array([255, 254, 128])));
  });

  test('agrees with the default partitioner of kafkajs for any key', () => {
    const theirs = Partitioners.DefaultPartitioner();
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 40 }), fc.integer({ min: 1, max: 1_000 }), (key, partitions) => {
        const partitionMetadata = Array.from({ length: partitions }, (_, partitionId) => ({
          ...{ partitionId, partitionErrorCode: 0, leader: 0, replicas: [], isr: [] },
        }));
        const message = { key: Buffer.from(key), value: null };
        expect(partitionOf(key, partitions)).toBe(theirs({ topic: 't', partitionMetadata, message }));
      }),
      { numRuns: 300 },
    );
  });
});
