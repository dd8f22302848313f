/** From a request to its answer: checked by the operation's definition, carried out, and told with node, lag and session. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { VersionConflict } from '../../../src/core/errors.ts';
import type { Answer, Handler } from '../exchange.ts';
import type { Operation } from './operation.ts';
import { readHeaders, readQuery } from './parameters.ts';
import { type ProblemContext, problemAnswer } from './problem.ts';
import type { V1Rooms } from './rooms.ts';
import type { Static, TObject } from './schema.ts';
import { Session } from './session.ts';

/** A request whose parameters are as described. */
export interface Call<Q extends TObject = TObject, H extends TObject = TObject> {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly query: Static<Q>;
  readonly headers: Static<H>;
  readonly session: Session;
  /** Headers of whatever answer it will be, failures included. */
  readonly headersOut: string[];
  /** Members of the problem, if it will be one. */
  readonly inProblem: Record<string, unknown>;
}

/** The calls of an operation. */
export type CallOf<O> = O extends Operation<infer Q, infer H> ? Call<Q, H> : never;

/** An answer without what every answer has. A body's type is JSON unless told. */
export interface Told {
  readonly status: number;
  readonly type?: string;
  readonly headers?: readonly string[];
  readonly body?: string | Uint8Array;
}

/** `handle` gives the answer; undefined: it has answered by itself. */
export function answering<Q extends TObject, H extends TObject>(
  rooms: V1Rooms,
  operation: Operation<Q, H>,
  handle: (call: Call<Q, H>) => Promise<Told | undefined> | Told,
): Handler {
  return async (request, response) => {
    const always = [...rooms.freshness()];
    const headersOut: string[] = [];
    const inProblem: Record<string, unknown> = {};
    let session: Session | undefined;
    const position = (): string[] => {
      const token = session?.token ?? '';
      return token === '' ? [] : ['Bitacora-Position', token];
    };
    let answer: Answer;
    try {
      const headers = readHeaders(operation.headers, request);
      session = new Session(rooms.keyValue, (headers as Record<string, string>)['Bitacora-Min-Position']);
      const query = readQuery(operation.query, request.url ?? '');
      const told = await handle({ request, response, query, headers, session, headersOut, inProblem });
      if (told === undefined) return;
      const all = [...(told.headers ?? []), ...headersOut, ...position(), ...always];
      answer = { status: told.status, type: told.type ?? 'application/json', headers: all, body: told.body ?? '' };
    } catch (error) {
      // Who lost against a version has seen it: his next read, on whichever node, must find it.
      if (error instanceof VersionConflict) session?.note(error.current);
      const context: ProblemContext = {
        node: rooms.node,
        position: session?.token,
        log: session?.log,
        headers: [...headersOut, ...position(), ...always],
        more: inProblem,
      };
      answer = problemAnswer(error, context, rooms.logger);
    }
    rooms.respond(response, answer);
  };
}

/** A JSON answer that may not be kept. */
export function jsonAnswer(value: unknown, status = 200): Told {
  return { status, headers: ['Cache-Control', 'no-store'], body: `${JSON.stringify(value)}\n` };
}
