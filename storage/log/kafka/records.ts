/** Messages as kafkajs really gives them, and the records they are. */
import type { LogRecord, Millis, Offset } from '../../../src/ports.ts';
import type { IHeaders } from './client.ts';

/** Its types leave out what tells control records and batch ends. */
export interface RawMessage {
  readonly offset: string;
  readonly timestamp: string;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers?: IHeaders;
  readonly isControlRecord?: boolean;
  readonly batchContext?: { readonly firstOffset: string; readonly lastOffsetDelta: number };
}

/** The last offset that messages speak for: that of their RecordBatch, whose last records compaction may have removed. */
export function lastOffsetOf(messages: readonly RawMessage[]): number {
  const last = messages.at(-1) as RawMessage;
  const context = last.batchContext;
  return Math.max(Number(last.offset), context === undefined ? 0 : Number(context.firstOffset) + context.lastOffsetDelta);
}

/** With log-append time all messages of a record batch share one string for it, which is read once. */
export function toRecords(messages: readonly RawMessage[]): LogRecord[] {
  let timestamp = '';
  let time = 0;
  return messages.map((message) => {
    if (message.timestamp !== timestamp) {
      timestamp = message.timestamp;
      time = Number(timestamp);
    }
    return toRecord(message, time);
  });
}

/** `time`: the message's, where it is already known as a number. */
export function toRecord(message: RawMessage, time = Number(message.timestamp)): LogRecord {
  return {
    offset: Number(message.offset) as Offset,
    time: time as Millis,
    key: message.key,
    value: message.value,
    headers: message.headers,
  };
}
