/** What the handlers of `/v1` need beside what all of the HTTP face needs. */
import type { Member } from '../../../src/ports.ts';
import type { Rooms } from '../exchange.ts';
import type { Streams } from '../streams.ts';

export interface V1Rooms extends Rooms {
  /** This node's name. */
  readonly node: string;
  /** The software's. */
  readonly version: string;
  /** The other nodes. */
  readonly members: () => readonly Member[];
  /** What another node says of itself under a path (default `/v1/node`), as it came; rejects when it does not answer. */
  readonly askMember: AskMember;
  readonly streams: Streams;
  readonly observeWatch: ObserveWatch;
  readonly observeVerification: ObserveVerification;
  /** How often a watch without changes shows that it lives, in milliseconds. */
  readonly heartbeatMs: number;
}

/** Server-sent events, newline-delimited JSON, long poll. */
export type Transport = 'sse' | 'ndjson' | 'poll';

/** Hears of a watch: it began and ended, an event was told, its client took nothing and was cut. */
export type ObserveWatch = (what: 'opened' | 'closed' | 'told' | 'cut', transport: Transport) => void;

export type AskMember = (address: string, signal: AbortSignal, path?: string) => Promise<unknown>;

/** Hears of a verification: whether all nodes agree, and how many hold something else than most. */
export type ObserveVerification = (agree: boolean, differing: number) => void;

/** Bytes of a batch's body: room for the largest value, escaped, and for many small ones. */
export function maxBatchBytes(maxValueBytes: number): number {
  return Math.max(8 * 1024 * 1024, 2 * maxValueBytes + 64 * 1024);
}

/** Bytes of values that one answer collects before it ends the page, or refuses the rest of a batch. */
export const maxAnswerBytes = 8 * 1024 * 1024;
