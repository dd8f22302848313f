/** How an operation of `/v1` is described: once, for the requests that are checked by it and for the document that is made from it. */
import type { ErrorCode } from '../../../src/core/errors.ts';
import type { Method } from '../exchange.ts';
import type { HeaderName } from './answer-headers.ts';
import type { TObject, TSchema } from './schema.ts';

export interface Outcome {
  readonly description: string;
  readonly headers?: readonly HeaderName[];
  /** By media type; absent: no body. */
  readonly content?: Readonly<Record<string, TSchema>>;
}

export interface Operation<Q extends TObject = TObject, H extends TObject = TObject> {
  /** `operationId`. */
  readonly id: string;
  readonly method: Method;
  /** The path, or its template. */
  readonly path: string;
  readonly group: string;
  readonly summary: string;
  readonly description: string;
  /** The parameter in the template, where there is one. */
  readonly inPath?: { readonly name: string; readonly schema: TSchema };
  /** Parameters of the query: others are refused. */
  readonly query: Q;
  /** Headers that matter to it. */
  readonly headers: H;
  readonly body?: { readonly description: string; readonly required: boolean; readonly content: Readonly<Record<string, TSchema>> };
  /** By status, good ones. */
  readonly outcomes: Readonly<Record<number, Outcome>>;
  /** Failures beside those that every operation has. */
  readonly errors: readonly ErrorCode[];
  /** A command that works against a node on the default port. */
  readonly curl: string;
}

/** Keeps the types of the parameters. */
export function operation<const Q extends TObject, const H extends TObject>(definition: Operation<Q, H>): Operation<Q, H> {
  return definition;
}

/** What any request may meet. */
export const commonErrors: readonly ErrorCode[] = ['bad-request', 'request-timeout', 'headers-too-large', 'internal'];
