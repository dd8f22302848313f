/** How large a batch may be, as the topic and this node's settings say it. Kafka's `max.message.bytes` bounds a whole RecordBatch. */

/** What a broker takes unless told otherwise. */
export const defaultMaxMessageBytes = 1_048_588;
/** Headers and key beside a value of the largest size. */
export const recordOverhead = 8 * 1024;

/** Before the records of a batch: offsets, producer, checksum and counts. */
export const batchFrame = 61;
/**
 * What Kafka adds to a thousand records of ours, the most that an atomic batch has: at most 16 bytes of lengths and deltas to each, and 3 to
 * each of its 8 headers.
 */
const recordFrames = 1_000 * (16 + 8 * 3);

/** The largest batch that a partition may hold, as far as we wrote it: a reader must get it in one piece. */
export function largestBatchBytes(recordBytes: number): number {
  return Math.max(defaultMaxMessageBytes, recordBytes + recordOverhead);
}

/** Keys, values and headers that fit into one batch, however many records of ours they are. A topic may allow more than we need. */
export function togetherBytes(maxMessageBytes: number, recordBytes: number): number {
  const whole = Math.min(maxMessageBytes, largestBatchBytes(recordBytes));
  // In a small batch there are fewer records: each has a writer, an id and a membership, several times what Kafka adds.
  return whole - batchFrame - Math.min(recordFrames, Math.floor(whole / 4));
}
