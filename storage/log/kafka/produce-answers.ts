/** What a broker's answers to a produce request prove, by their names in the protocol. */

/** The broker has refused the batch as it stands and kept nothing of it. */
export const refusals = new Set([
  'MESSAGE_TOO_LARGE',
  'RECORD_LIST_TOO_LARGE',
  'INVALID_RECORD',
  'INVALID_TIMESTAMP',
  'UNSUPPORTED_FOR_MESSAGE_FORMAT',
]);
/** Too large it is for the topic as it is set now: of a sealed one nothing is small enough. */
export const tooLarge = new Set(['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE']);
/**
 * Answers that prove that the broker kept nothing: they come before the append, and from nothing but a produce request. Others look the same
 * and prove nothing: `NOT_LEADER_FOR_PARTITION` and its like may also come after the append, or from kafkajs's question for metadata, which
 * it asks when a connection was lost and whose failure then hides the loss.
 */
export const provesNothingKept = new Set([...refusals, 'NOT_ENOUGH_REPLICAS']);
/** This principal may not write. */
export const forbidden = new Set(['TOPIC_AUTHORIZATION_FAILED', 'CLUSTER_AUTHORIZATION_FAILED', 'POLICY_VIOLATION']);
/** The broker and this producer no longer agree on what was written: only a new producer can go on. */
export const fatal = new Set([
  'OUT_OF_ORDER_SEQUENCE_NUMBER',
  'DUPLICATE_SEQUENCE_NUMBER',
  'INVALID_PRODUCER_EPOCH',
  'UNKNOWN_PRODUCER_ID',
]);
