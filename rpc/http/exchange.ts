/** What the rooms of the HTTP face hand one another. Express is not among it: its name stays in `router.ts`. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { KeyValue, Logger } from '../../src/ports.ts';
import type { Bodies } from './body.ts';

/** Answers one request. What it throws is answered by `failures.ts`. */
export type Handler = (request: IncomingMessage, response: ServerResponse) => Promise<void> | void;

export type Method = 'GET' | 'PUT' | 'POST' | 'DELETE';

/** One path and what it knows to do; HEAD is answered as GET without its body. */
export interface Route {
  /** The path, or its template: what metrics and messages call it. */
  readonly path: string;
  /** Which paths it answers, where it is not `path` alone. Without groups: Express would decode them. */
  readonly pattern?: RegExp;
  readonly methods: Readonly<Partial<Record<Method, Handler>>>;
}

/** How a failure is told on a path. */
export type Tell = (error: unknown, headers?: readonly string[]) => Answer;

/** A whole answer. An empty body has no type. `headers` is a flat list, name and value in turn, without length, type and connection, which `respond` sets. */
export interface Answer {
  readonly status: number;
  readonly type: string;
  readonly headers?: readonly string[];
  readonly body: string | Uint8Array;
}

/** Sends an answer; nothing happens when the client is gone or was already answered. */
export type Respond = (response: ServerResponse, answer: Answer) => void;

/** Bounds of the HTTP face. Times in milliseconds. */
export interface HttpLimits {
  readonly maxValueBytes: number;
  /** Request line and headers together. */
  readonly maxHeaderBytes: number;
  /** What the bodies of all requests under way may take up together. */
  readonly maxBodiesBytes: number;
  /** Connections above this are closed at once. */
  readonly maxConnections: number;
  readonly headersTimeoutMs: number;
  /** For a whole request to arrive, and for its client to take the answer. */
  readonly requestTimeoutMs: number;
  /** Idle time between two requests: longer than the balancer's, which otherwise sends into a closing connection. */
  readonly keepAliveTimeoutMs: number;
  /** How long a write waits for the log before its caller is told that the outcome is unknown. */
  readonly writeTimeoutMs: number;
}

/** What every handler needs. */
export interface Rooms {
  readonly keyValue: KeyValue;
  readonly limits: HttpLimits;
  readonly respond: Respond;
  readonly bodies: Bodies;
  readonly logger: Logger;
  /** Headers that say who answers and how far behind it is. */
  readonly freshness: () => readonly string[];
}
