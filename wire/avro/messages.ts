/** What the protocol's messages carry, as TypeScript sees it; `protocol.ts` says what the fields mean. Integers are whole and exact to 2^53. */

/** The map that goes with a handshake or a call; nobody here puts anything into it. */
export type Metadata = Readonly<Record<string, Uint8Array>>;

export interface HandshakeRequest {
  readonly clientHash: Buffer;
  readonly clientProtocol: string | null;
  readonly serverHash: Buffer;
  readonly meta: Metadata | null;
}

export interface HandshakeResponse {
  readonly match: 'BOTH' | 'CLIENT' | 'NONE';
  readonly serverProtocol: string | null;
  readonly serverHash: Buffer | null;
  readonly meta: Metadata | null;
}

export interface Failure {
  readonly code: string;
  readonly message: string;
  readonly retry: string;
  readonly retryAfterMs: number;
}

export interface Position {
  readonly partition: number;
  readonly offset: number;
}

export interface Seen {
  readonly genesis: string;
  readonly positions: readonly Position[];
}

export interface KeyValue {
  readonly value: Buffer;
  readonly contentType: string;
  readonly version: Position | null;
  readonly timestamp: number;
  readonly expires: number;
  readonly uuid: string;
}

export interface Answer {
  readonly found: KeyValue | null;
  /** 1 this node, 2 a peer. */
  readonly source: number;
  readonly applied: Position;
  readonly genesis: string;
}

export interface Written {
  readonly position: Position;
  readonly uuid: string;
  readonly genesis: string;
}

export interface Put {
  readonly key: string;
  readonly value: Buffer;
  readonly contentType: string;
  readonly ttl: number;
}

export interface Node {
  readonly node: string;
  readonly state: string;
  readonly genesis: string;
  readonly partitions: number;
  readonly maxKeyBytes: number;
  readonly maxValueBytes: number;
  readonly maxFrameBytes: number;
}

const namespace = 'com.grayscaleconsulting.bitacora.rpc.avro';
export const answerBranch = `${namespace}.Answer` as const;
export const writtenBranch = `${namespace}.Written` as const;
export const failureBranch = `${namespace}.Failure` as const;

/** Results of one of many, in the branches of their union. */
export type AnswerOrFailure = { readonly [answerBranch]: Answer } | { readonly [failureBranch]: Failure };
export type WrittenOrFailure = { readonly [writtenBranch]: Written } | { readonly [failureBranch]: Failure };

export interface Messages {
  readonly getValue: { request: { readonly key: string }; response: string | null };
  readonly setValue: { request: { readonly key: string; readonly value: string }; response: null };
  readonly delete: { request: { readonly key: string }; response: null };
  readonly getNode: { request: Readonly<Record<never, never>>; response: Node };
  readonly getRecord: { request: { readonly key: string; readonly seen: Seen }; response: Answer };
  readonly setRecord: { request: { readonly put: Put }; response: Written };
  readonly deleteRecord: { request: { readonly key: string }; response: Written };
  readonly getMany: { request: { readonly keys: readonly string[]; readonly seen: Seen }; response: readonly AnswerOrFailure[] };
  readonly setMany: { request: { readonly puts: readonly Put[] }; response: readonly WrittenOrFailure[] };
}
