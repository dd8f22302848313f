/**
 * Values of the protocol as bytes and back: the one file that names `avsc`.
 *
 * Avro writes a value by the writer's schema and reads it by writer's and reader's together. A client writes requests by its protocol, a
 * node answers by its own; each learns the other's text in the handshake. Whatever comes from the other side passes `check.ts` first.
 */
import { isUtf8 } from 'node:buffer';
import { createHash } from 'node:crypto';
import avsc, { type Type } from 'avsc';
import { BitacoraError } from '../../src/core/errors.ts';
import { type Check, checkOf, endOf } from './check.ts';
import type { Encode } from './frames.ts';
import type { Failure, HandshakeRequest, HandshakeResponse, Messages, Metadata } from './messages.ts';
import { type AvroProtocol, type MessageName, protocol } from './protocol.ts';

/** A value, and where it ended. */
export interface Decoded<T> {
  readonly value: T;
  readonly end: number;
}

/**
 * Errors: `Malformed` for bytes that are no such value; `bad-request` for a value that is well-formed and not to be had here (2^60). Text is
 * not well-formed (`isText`) where the other side has declared bytes and they are not UTF-8.
 */
export type Decode<T> = (buffer: Buffer, at: number) => Decoded<T>;

/** How a node tells a call's failure: in words where the message declares no `Failure`. */
export type CallError = string | Failure;

function encoding<T>(type: Type): (value: T) => Encode {
  return (value) => (buffer, at) => type.encode(value, buffer, at);
}

function decoding<T>(reader: Type, writer: Type, check: Check): Decode<T> {
  const resolver = writer === reader ? undefined : reader.createResolver(writer);
  return (buffer, at) => {
    const end = endOf(check, buffer, at);
    const { value, offset } = read(reader, resolver, buffer, at);
    if (offset !== end) throw new BitacoraError('internal', `a value of ${end - at} bytes was read as ${offset - at}`);
    return { value: value as T, end };
  };
}

function read(type: Type, resolver: ReturnType<Type['createResolver']> | undefined, buffer: Buffer, at: number) {
  try {
    return type.decode(buffer, at, resolver);
  } catch (cause) {
    throw new BitacoraError('bad-request', 'a number is beyond 2^53, or a value is of a branch that is not known here', { cause });
  }
}

/**
 * A protocol's document without the defaults of its fields. They are the reader's business, and of what comes from the other side we read
 * by our own; avsc would work them out, and defaults of records within records make that take for ever.
 */
const withoutDefaults = (name: string, value: unknown): unknown => (name === 'default' ? undefined : value);

function both<T>(schema: object): { encode: (value: T) => Encode; decode: Decode<T> } {
  const type = avsc.Type.forSchema(schema as avsc.Schema);
  return { encode: encoding<T>(type), decode: decoding<T>(type, type, checkOf(schema as Parameters<typeof checkOf>[0])) };
}

const md5 = { type: 'fixed', name: 'MD5', size: 16, namespace: 'org.apache.avro.ipc' };
const meta = { type: 'map', values: 'bytes' };

/** What travels before a call's message name, and before its answer. */
export const metadata = both<Metadata>(meta);
export const text = both<string>({ type: 'string' });

/** From the Avro specification, as the two below. */
export const handshakeRequest = both<HandshakeRequest>({
  type: 'record',
  name: 'HandshakeRequest',
  namespace: 'org.apache.avro.ipc',
  fields: [
    { name: 'clientHash', type: md5 },
    { name: 'clientProtocol', type: ['null', 'string'] },
    { name: 'serverHash', type: 'MD5' },
    { name: 'meta', type: ['null', meta] },
  ],
});

export const handshakeResponse = both<HandshakeResponse>({
  type: 'record',
  name: 'HandshakeResponse',
  namespace: 'org.apache.avro.ipc',
  fields: [
    { name: 'match', type: { type: 'enum', name: 'HandshakeMatch', symbols: ['BOTH', 'CLIENT', 'NONE'] } },
    { name: 'serverProtocol', type: ['null', 'string'] },
    { name: 'serverHash', type: ['null', md5] },
    { name: 'meta', type: ['null', meta] },
  ],
});

/** A protocol as one side of a connection brings it: its text, its hash, and how its types read against ours. */
export class Protocol {
  readonly text: string;
  /** Any 16 bytes that name the text; MD5 by custom. */
  readonly hash: Buffer;
  readonly #service: avsc.Service;
  readonly #checks = new Map<string, Check>();
  readonly #document: AvroProtocol;
  readonly #namespace: string;
  readonly #requests: Decoders = new Map();
  readonly #responses: Decoders = new Map();
  readonly #failures: Decoders = new Map();

  /** Errors: `bad-request` for a text that is no Avro protocol. */
  constructor(text: string) {
    this.text = text;
    this.hash = createHash('md5').update(text).digest();
    try {
      this.#document = JSON.parse(text, withoutDefaults) as AvroProtocol;
      this.#service = avsc.Service.forProtocol(this.#document);
      this.#namespace = namespaceOf(this.#document);
      for (const type of this.#document.types ?? []) checkOf(type as never, this.#checks, this.#namespace);
    } catch (cause) {
      throw new BitacoraError('bad-request', 'the protocol in the handshake cannot be understood', { cause });
    }
  }

  /** Requests as this side writes them, read as ours. Errors: `bad-request` when its message cannot be read as ours. */
  request<M extends MessageName>(name: M): Decode<Messages[M]['request']> {
    return this.#decoder(this.#requests, name, 'request', () => {
      const writer = this.#types(name).requestType;
      const { request, 'one-way': oneWay } = this.#document.messages[name] ?? {};
      if (oneWay) throw new Error('it waits for no answer, and this one is answered');
      const check = checkOf({ type: 'record', name: '', fields: request } as never, this.#checks, this.#namespace);
      return decoding(types(name).requestType, writer, check);
    });
  }

  /** Answers as this side writes them. */
  response<M extends MessageName>(name: M): Decode<Messages[M]['response']> {
    return this.#decoder(this.#responses, name, 'answer', () => {
      const check = checkOf(this.#document.messages[name]?.response as never, this.#checks, this.#namespace);
      return decoding(types(name).responseType, this.#types(name).responseType, check);
    });
  }

  /** Failures as this side writes them. */
  failure(name: MessageName): Decode<CallError> {
    return this.#decoder(this.#failures, name, 'failure', () => {
      const declared = (this.#document.messages[name]?.errors as readonly unknown[] | undefined) ?? [];
      const check = checkOf(['string', ...declared] as never, this.#checks, this.#namespace);
      return decoding(types(name).errorType, this.#types(name).errorType, check);
    });
  }

  #types(name: MessageName): MessageTypes {
    const message = this.#service.message(name) as MessageTypes | undefined;
    if (message === undefined) throw new Error(`it has no message ${name}`);
    return message;
  }

  /** Decoders are made when first used, and kept: the messages are few. */
  #decoder<T>(made: Decoders, name: MessageName, what: string, make: () => Decode<T>): Decode<T> {
    const known = made.get(name);
    if (known !== undefined) return known as Decode<T>;
    try {
      const decode = make();
      made.set(name, decode);
      return decode;
    } catch (cause) {
      throw new BitacoraError('bad-request', `the other side's ${what} of ${name} cannot be read: ${(cause as Error).message}`, { cause });
    }
  }
}

/** Where its types are: said, or part of its name, or nowhere. */
function namespaceOf({ namespace, protocol }: AvroProtocol): string {
  return namespace ?? protocol.slice(0, Math.max(0, protocol.lastIndexOf('.')));
}

type Decoders = Map<MessageName, Decode<unknown>>;

interface MessageTypes {
  readonly requestType: Type;
  readonly responseType: Type;
  readonly errorType: Type;
}

/** Half a character: no text, and what every check of a text refuses. */
const noText = '\uD800';

interface Tap {
  readBytes(): Buffer;
}
interface TextResolver {
  _read: (tap: Tap) => string;
}
const plainText = avsc.types.StringType.prototype as unknown as { _update(resolver: TextResolver, writer: Type): void };

/** Avro reads bytes as text where one side has these and the other that. What is not UTF-8 would be U+FFFD to avsc, and a key another key. */
class Text extends avsc.types.StringType {
  _update(resolver: TextResolver, writer: Type): void {
    plainText._update.call(this, resolver, writer);
    if (writer.typeName === 'bytes') resolver._read = readText;
  }
}

function readText(tap: Tap): string {
  const bytes = tap.readBytes();
  return isUtf8(bytes) ? bytes.toString('utf8') : noText;
}

const ourText = new Text();
const typeHook = (schema: unknown): Type | undefined => (schema === 'string' ? ourText : undefined);

const ours = avsc.Service.forProtocol(protocol, { typeHook });
const types = (name: MessageName): MessageTypes => ours.message(name) as unknown as MessageTypes;

/** The protocol of this version, as nodes and our own client bring it. */
export const localProtocol = new Protocol(JSON.stringify(protocol));

/** Node knows it since 20, the library of types does not yet. */
type MaybeText = string & { isWellFormed(): boolean };

/** Whether it can be written as UTF-8. */
export const isText = (text: string): boolean => (text as MaybeText).isWellFormed();

export const isMessage = (name: string): name is MessageName => Object.hasOwn(protocol.messages, name);

/** Whether failures of a message are told as `Failure`. */
export const declaresFailure = (name: MessageName): boolean => 'errors' in protocol.messages[name];

export function encodeRequest<M extends MessageName>(name: M, request: Messages[M]['request']): Encode {
  return encoding<Messages[M]['request']>(types(name).requestType)(request);
}

export function encodeResponse<M extends MessageName>(name: M, response: Messages[M]['response']): Encode {
  return encoding<Messages[M]['response']>(types(name).responseType)(response);
}

/** Errors: `internal` when a `Failure` is given for a message that declares none. */
export function encodeFailure(name: MessageName, failure: CallError): Encode {
  return encoding<CallError>(types(name).errorType)(failure);
}
