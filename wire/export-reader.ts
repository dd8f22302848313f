/** Reads an export line by line and believes nothing: each line must be one that may stand there, and counts and sums must be right. */
import { bytesOf, textOf } from '../src/core/bytes.ts';
import { type ExportCursor, type ExportEnd, type ExportHeader, ExportSum, exportFormat } from './export-format.ts';

/** What a line of an export is not, in words for people that hold no value. */
export class Damaged extends Error {}

/** A key as an export holds it. */
export interface ExportItem {
  readonly key: string;
  readonly value: Uint8Array;
  /** Undefined: none was given. */
  readonly contentType: string | undefined;
  /** Deadline in ms since 1970; undefined: for ever. */
  readonly expires: number | undefined;
}

export type ExportLine =
  | ({ readonly kind: 'header' } & ExportHeader)
  | { readonly kind: 'item'; readonly key: string }
  | ({ readonly kind: 'cursor' } & ExportCursor)
  | ({ readonly kind: 'end' } & ExportEnd);

const newline = Uint8Array.of(0x0a);

/** One for an export of any number of parts. */
export class ExportReader {
  #header: ExportHeader | undefined;
  /** The cursor told last: where the next part must go on. */
  #cursor: string | undefined;
  #sum = new ExportSum();
  /** Bytes of the key that was last, and of the one that was last at the cursor. */
  #last: Uint8Array | undefined;
  #lastAtCursor: Uint8Array | undefined;
  #ended = false;
  /** The first part may go on from here; undefined: it must be the beginning. */
  readonly #from: string | undefined;

  /** Of what begins at its beginning, or goes on from a cursor. */
  constructor(from?: string) {
    this.#from = from;
  }

  /** Of the part that is being read. */
  get header(): ExportHeader | undefined {
    return this.#header;
  }

  /** The end was read, and nothing behind it. */
  get whole(): boolean {
    return this.#ended;
  }

  /** Of a line without its newline. Errors: `Damaged`. */
  take(line: Uint8Array): ExportLine {
    if (this.#ended) throw new Damaged('something stands behind the end');
    const fields = fieldsOf(line);
    if (this.#header === undefined && fields['bitacora'] !== 'export') throw new Damaged('it does not begin as an export does');
    if (fields['bitacora'] !== undefined) return this.#takeHeader(fields);
    if (fields['key'] !== undefined) return this.#takeItem(fields, line);
    this.#checkSum(fields);
    if (fields['end'] === true) {
      this.#ended = true;
      return { kind: 'end', ...(fields as unknown as ExportEnd) };
    }
    this.#cursor = textIn(fields, 'cursor');
    this.#lastAtCursor = this.#last;
    return { kind: 'cursor', ...(fields as unknown as ExportCursor) };
  }

  #takeHeader(fields: Record<string, unknown>): ExportLine {
    const { format, cursor } = fields;
    if (fields['bitacora'] !== 'export') throw new Damaged('it is no export');
    if (format !== exportFormat) throw new Damaged(`it is of format ${String(format)}, and this version reads ${exportFormat}`);
    const prefix = textIn(fields, 'prefix');
    textIn(fields, 'position');
    const wanted = this.#header === undefined ? (this.#from ?? null) : this.#cursor;
    if (cursor !== wanted || cursor === undefined) {
      const words = this.#header === undefined ? 'it begins in the middle: what stands before is missing' : 'a part goes on elsewhere';
      throw new Damaged(words);
    }
    if (this.#header !== undefined && prefix !== this.#header.prefix) throw new Damaged('a part is of another prefix');
    this.#header = fields as unknown as ExportHeader;
    this.#sum = new ExportSum();
    // What stands behind the cursor was told by the part before, and is told again.
    this.#last = this.#lastAtCursor;
    return { kind: 'header', ...this.#header };
  }

  #takeItem(fields: Record<string, unknown>, line: Uint8Array): ExportLine {
    const key = textIn(fields, 'key');
    const bytes = bytesOf(key);
    if (this.#last !== undefined && Buffer.compare(this.#last, bytes) >= 0) throw new Damaged('the keys are not in their order');
    if (!key.startsWith(this.#header?.prefix ?? '')) throw new Damaged('a key is not of the prefix');
    this.#last = bytes;
    this.#sum.add(Buffer.concat([line, newline]));
    return { kind: 'item', key };
  }

  #checkSum(fields: Record<string, unknown>): void {
    const { items, checksum } = this.#sum.told;
    if (fields['items'] !== items) throw new Damaged(`there are ${items} items where ${String(fields['items'])} should be`);
    if (fields['checksum'] !== checksum) throw new Damaged('the items are not what was exported: the checksum is another');
  }
}

/** What a line says of a key; undefined: it is a header, a cursor or an end. Errors: `Damaged`. */
export function itemOf(line: Uint8Array): ExportItem | undefined {
  const fields = fieldsOf(line);
  if (fields['key'] === undefined && ['bitacora', 'cursor', 'end'].some((name) => fields[name] !== undefined)) return undefined;
  const { content_type: contentType = null, expires = null } = fields;
  if (contentType !== null && typeof contentType !== 'string') throw new Damaged('a content type is no text');
  const deadline = expires === null ? undefined : Date.parse(String(expires));
  if (deadline !== undefined && Number.isNaN(deadline)) throw new Damaged('a deadline is no time');
  return { key: textIn(fields, 'key'), value: valueIn(fields), contentType: contentType || undefined, expires: deadline };
}

function valueIn(fields: Record<string, unknown>): Uint8Array {
  const { value, value_b64: base64 } = fields;
  if ((value === undefined) === (base64 === undefined)) throw new Damaged('an item has either value or value_b64');
  if (value !== undefined) {
    const text = textIn(fields, 'value');
    // As bytes it would be another text.
    if (/\p{Surrogate}/u.test(text)) throw new Damaged('a value is not well-formed text');
    return bytesOf(text);
  }
  const text = textIn(fields, 'value_b64');
  const bytes = Buffer.from(text, 'base64');
  if (bytes.toString('base64') !== text) throw new Damaged('a value is not base64');
  return bytes;
}

function fieldsOf(line: Uint8Array): Record<string, unknown> {
  const text = textOf(line);
  if (text === undefined) throw new Damaged('a line is not UTF-8');
  let fields: unknown;
  try {
    fields = JSON.parse(text);
  } catch {
    // The parser's own words may hold parts of a value.
    throw new Damaged('a line is not JSON');
  }
  if (typeof fields !== 'object' || fields === null || Array.isArray(fields)) throw new Damaged('a line is no object');
  return fields as Record<string, unknown>;
}

function textIn(fields: Record<string, unknown>, name: string): string {
  const text = fields[name];
  if (typeof text !== 'string') throw new Damaged(`a line has no ${name}`);
  return text;
}
