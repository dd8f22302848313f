/**
 * One user write is one record of the log: its key is the key's bytes, its value the value's bytes, and what else is needed travels in
 * headers, as ASCII text. A record without headers, written by any other producer, is a plain put (or, with a null value, a delete).
 *
 *   header  in               meaning
 *   op      all but put      d delete marker, c / cd conditional put / delete, s / sd statement of a value / of absence, t tombstone
 *   id      all of ours      uuid of the write
 *   by      all of ours      node/incarnation/sequence
 *   exp     put, c, s        deadline, ms since the epoch
 *   ct      put, c, s        content type, UTF-8
 *   ik      put, d, c, cd    idempotency key, UTF-8
 *   if      c, cd            the version expected (an offset), `absent`, `present`, or `never`
 *   tx      put, d, c, cd    member of an atomic batch: id/index/count, the members side by side in one partition
 *   ver     s, sd            the version stated (an offset; -1: never written)
 *   asof    s, sd, t         offset up to which the author knew the key
 *   at      s, sd            log time of the record at `asof`
 *   vid vby vts  s, sd       id, writer and log time of the version stated
 *
 * Decoding never throws: what cannot be understood comes back as a reason, is counted, and is skipped by every node alike.
 */
import type { HeadersRead, LogRecord, Millis, NewRecord, Offset } from '../ports.ts';
import { asciiBytes, asciiOf, bytesOf, looseTextOf, textOf } from './bytes.ts';
import { LoggedPut } from './logged-put.ts';

export type Operation = 'put' | 'delete' | 'conditional-put' | 'conditional-delete' | 'statement' | 'tombstone';

/** The expectation of a conditional write. */
export type Condition = Offset | 'absent' | 'present' | 'never';

/** What a statement says of its key. */
export interface Stated {
  readonly deleted: boolean;
  readonly version: Offset;
  readonly asof: Offset;
  readonly at: Millis;
  readonly id: string;
  readonly by: string;
  readonly time: Millis;
}

/** A record's place in its atomic batch. */
export interface Membership {
  readonly id: string;
  readonly index: number;
  readonly count: number;
}

/** A record that was understood. */
export interface Decoded {
  readonly key: string;
  readonly operation: Operation;
  readonly id: string;
  /** As in the header: node/incarnation/sequence; empty for other producers. */
  readonly by: string;
  /** The writer's incarnation, with its node; empty for other producers. */
  readonly writer: string;
  readonly sequence: number;
  readonly expires: Millis;
  readonly contentType: string;
  readonly idempotencyKey: string;
  readonly condition: Condition | undefined;
  readonly stated: Stated | undefined;
  /** Of a tombstone: its author knew the key, as gone, up to this offset. Undefined: it does not say. */
  readonly goneAsof: Offset | undefined;
  /** Set for a put or delete, conditional or not, that takes effect together with others. */
  readonly batch: Membership | undefined;
}

/** Why a record was skipped: short stable words, used as a metric label. */
export type UnreadableReason = 'key-missing' | 'key-not-text' | 'unknown-operation' | 'bad-header' | 'value-missing' | 'wrong-partition';

const operations: Readonly<Record<string, Operation>> = {
  d: 'delete',
  c: 'conditional-put',
  cd: 'conditional-delete',
  s: 'statement',
  sd: 'statement',
  t: 'tombstone',
};

const SLASH = 0x2f;
const nothing = new Uint8Array(0);

const foreign = {
  id: '',
  by: '',
  writer: '',
  sequence: 0,
  expires: 0 as Millis,
  contentType: '',
  idempotencyKey: '',
  condition: undefined,
  stated: undefined,
  goneAsof: undefined,
  batch: undefined,
};

/** Understands a record, or says why not. */
export function decodeRecord(record: LogRecord): Decoded | UnreadableReason {
  if (record.key === null || record.key.length === 0) return 'key-missing';
  const key = textOf(record.key);
  if (key === undefined) return 'key-not-text';
  const headers = record.headers;
  if (headers === undefined) return { key, operation: record.value === null ? 'delete' : 'put', ...foreign };
  return decodeOurs(key, record, headers);
}

function decodeOurs(key: string, record: LogRecord, headers: HeadersRead): Decoded | UnreadableReason {
  const op = ascii(headers, 'op');
  const operation = op === '' ? (record.value === null ? 'delete' : 'put') : Object.hasOwn(operations, op) ? operations[op] : undefined;
  if (operation === undefined) return 'unknown-operation';
  if (record.value === null && (operation === 'conditional-put' || op === 's')) return 'value-missing';
  const by = own(headers, 'by') ?? nothing;
  const sequence = author.read(by);
  const expires = Object.hasOwn(headers, 'exp') ? integer(ascii(headers, 'exp')) : 0;
  if (sequence === undefined || expires === undefined) return 'bad-header';
  const { writer } = author;
  const contentType = text(headers, 'ct');
  const idempotencyKey = text(headers, 'ik');
  const id = own(headers, 'id') ?? nothing;
  const batch = Object.hasOwn(headers, 'tx') ? membershipOf(ascii(headers, 'tx')) : undefined;
  if (operation === 'put' && batch === undefined) {
    return new LoggedPut(key, record, writer, sequence, expires as Millis, contentType, idempotencyKey, id, by);
  }
  const condition = operation === 'conditional-put' || operation === 'conditional-delete' ? conditionOf(headers) : undefined;
  const stated = operation === 'statement' ? statedOf(headers, op === 'sd') : undefined;
  const goneAsof = operation === 'tombstone' && Object.hasOwn(headers, 'asof') ? integer(ascii(headers, 'asof')) : undefined;
  if (condition === null || stated === null || batch === null) return 'bad-header';
  if (batch !== undefined && (operation === 'statement' || operation === 'tombstone')) return 'bad-header';
  return {
    key,
    operation,
    id: asciiOf(id),
    by: asciiOf(by),
    writer,
    sequence,
    expires: expires as Millis,
    contentType,
    idempotencyKey,
    condition,
    stated,
    goneAsof: goneAsof as Offset | undefined,
    batch,
  };
}

function membershipOf(text: string): Membership | null {
  const [id = '', index = '', count = '', more] = text.split('/');
  const at = { id, index: integer(index) ?? 0, count: integer(count) ?? 0 };
  return id === '' || more !== undefined || integer(index) === undefined || at.index >= at.count ? null : at;
}

/**
 * Reads the header `by`: node/incarnation/sequence. Nearly always the record before had the same writer, whose bytes are kept for that; its
 * text, kept too, is then the same string.
 */
class AuthorReader {
  /** Node and incarnation as last read, with the slash behind them. */
  #prefix: Uint8Array = nothing;
  #writer = '';
  /** Node and incarnation of the header read; empty when it is. */
  writer = '';

  /** The sequence, 0 when `by` is empty; undefined: it cannot be understood. */
  read(by: Uint8Array): number | undefined {
    this.writer = '';
    if (by.length === 0) return 0;
    const same = this.#sequenceOf(by);
    if (same !== undefined) {
      this.writer = this.#writer;
      return same;
    }
    const cut = by.lastIndexOf(SLASH);
    if (cut < 1) return undefined;
    // A copy: a Buffer's own `slice` would be a view, and keep the log's fetch buffer alive.
    this.#prefix = new Uint8Array(by.subarray(0, cut + 1));
    this.#writer = asciiOf(by.subarray(0, cut));
    this.writer = this.#writer;
    return this.#sequenceOf(by);
  }

  /** Undefined when `by` is of another writer than the last, or does not end in a sequence. */
  #sequenceOf(by: Uint8Array): number | undefined {
    const prefix = this.#prefix;
    const { length } = prefix;
    if (length === 0 || by.length <= length || by.length > length + 16) return undefined;
    for (let i = 0; i < length; i++) if (by[i] !== prefix[i]) return undefined;
    let value = 0;
    for (let i = length; i < by.length; i++) {
      const digit = by[i]! - 48;
      if (digit < 0 || digit > 9) return undefined;
      value = value * 10 + digit;
    }
    return Number.isSafeInteger(value) ? value : undefined;
  }
}

const author = new AuthorReader();

function conditionOf(headers: HeadersRead): Condition | null {
  const expected = ascii(headers, 'if');
  if (expected === 'absent' || expected === 'present' || expected === 'never') return expected;
  const version = integer(expected);
  return version === undefined ? null : (version as Offset);
}

function statedOf(headers: HeadersRead, deleted: boolean): Stated | null {
  const version = ascii(headers, 'ver') === '-1' ? -1 : integer(ascii(headers, 'ver'));
  const asof = integer(ascii(headers, 'asof'));
  const at = integer(ascii(headers, 'at'));
  const time = integer(ascii(headers, 'vts'));
  if (version === undefined || asof === undefined || at === undefined || time === undefined) return null;
  return {
    deleted,
    version: version as Offset,
    asof: asof as Offset,
    at: at as Millis,
    id: ascii(headers, 'vid'),
    by: ascii(headers, 'vby'),
    time: time as Millis,
  };
}

function ascii(headers: HeadersRead, name: string): string {
  const value = own(headers, name);
  return value === undefined ? '' : asciiOf(value);
}

function text(headers: HeadersRead, name: string): string {
  const value = own(headers, name);
  return value === undefined ? '' : looseTextOf(value);
}

/**
 * A header named `__proto__` may have given the object other ancestors: what they have is no header. And asking first is fast: kafkajs's
 * objects have a hidden class each, for which reading what is not there takes ten times as long. Where a name stands twice the first
 * counts; a name without bytes is none.
 */
function own(headers: HeadersRead, name: string): Uint8Array | undefined {
  if (!Object.hasOwn(headers, name)) return undefined;
  const value = headers[name];
  if (value instanceof Uint8Array) return value;
  const first: unknown = Array.isArray(value) ? value[0] : undefined;
  return first instanceof Uint8Array ? first : undefined;
}

/** 1 to 16 digits. */
function integer(text: string): number | undefined {
  if (text.length === 0 || text.length > 16) return undefined;
  let value = 0;
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return undefined;
    value = value * 10 + digit;
  }
  return Number.isSafeInteger(value) ? value : undefined;
}

/** Who writes: put into every record of ours. */
export interface Authorship {
  readonly id: string;
  /** node/incarnation/sequence. */
  readonly by: string;
}

export interface WriteDetails {
  readonly expires?: Millis | undefined;
  readonly contentType?: string | undefined;
  readonly idempotencyKey?: string | undefined;
}

function details(from: WriteDetails): Record<string, Uint8Array> {
  const headers: Record<string, Uint8Array> = {};
  if (from.expires) headers['exp'] = asciiBytes(String(from.expires));
  if (from.contentType) headers['ct'] = bytesOf(from.contentType);
  if (from.idempotencyKey) headers['ik'] = bytesOf(from.idempotencyKey);
  return headers;
}

function authored(author: Authorship): Record<string, Uint8Array> {
  return { id: asciiBytes(author.id), by: asciiBytes(author.by) };
}

export function putRecord(key: Uint8Array, value: Uint8Array, author: Authorship, more: WriteDetails = {}): NewRecord {
  return { key, value, headers: { ...authored(author), ...details(more) } };
}

/** The expiry marker. */
export function deleteRecord(key: Uint8Array, author: Authorship, more: WriteDetails = {}): NewRecord {
  return { key, value: nothing, headers: { op: asciiBytes('d'), ...authored(author), ...details(more) } };
}

export function conditionalPutRecord(
  key: Uint8Array,
  value: Uint8Array,
  condition: Condition,
  author: Authorship,
  more: WriteDetails = {},
): NewRecord {
  return { key, value, headers: { op: asciiBytes('c'), ...conditional(condition), ...authored(author), ...details(more) } };
}

/** A delete that has no effect unless the condition holds at its place. */
export function conditionalDeleteRecord(key: Uint8Array, condition: Condition, author: Authorship, more: WriteDetails = {}): NewRecord {
  return { key, value: nothing, headers: { op: asciiBytes('cd'), ...conditional(condition), ...authored(author), ...details(more) } };
}

/** Has no effect but that the key is unsettled, so that whoever knows it states it: written by a node that is in doubt about it. */
export function questionRecord(key: Uint8Array, author: Authorship): NewRecord {
  return conditionalDeleteRecord(key, 'never', author);
}

function conditional(condition: Condition): Record<string, Uint8Array> {
  return { if: asciiBytes(String(condition)) };
}

/** The same record as a member of an atomic batch. */
export function memberOf(record: NewRecord, { id, index, count }: Membership): NewRecord {
  return { ...record, headers: { ...record.headers, tx: asciiBytes(`${id}/${index}/${count}`) } };
}

/**
 * Ends a key that its author knew as gone up to an offset, and has no effect if it was written or deleted since. Compaction drops it in the
 * end, and nothing is left of the key.
 */
export function tombstoneRecord(key: Uint8Array, asof: Offset, author: Authorship): NewRecord {
  return { key, value: null, headers: { op: asciiBytes('t'), asof: asciiBytes(String(asof)), ...authored(author) } };
}

/** States what the author holds under the key, as of an offset. */
export function statementRecord(key: Uint8Array, value: Uint8Array, stated: Stated, author: Authorship, more: WriteDetails): NewRecord {
  return {
    key,
    value: stated.deleted ? nothing : value,
    headers: {
      op: asciiBytes(stated.deleted ? 'sd' : 's'),
      ver: asciiBytes(String(stated.version)),
      asof: asciiBytes(String(stated.asof)),
      at: asciiBytes(String(stated.at)),
      vid: asciiBytes(stated.id),
      vby: asciiBytes(stated.by),
      vts: asciiBytes(String(stated.time)),
      ...authored(author),
      ...details(more),
    },
  };
}
