/** A value as a caller gets it: its bytes with their type, or JSON with what is known of it. */
import { textOf } from '../../../src/core/bytes.ts';
import { BitacoraError } from '../../../src/core/errors.ts';
import { formatPosition } from '../../../src/core/position.ts';
import type { FoundValue } from '../../../src/ports.ts';
import { isoOf } from './deadline.ts';
import { type Form, tagOf } from './entity-tag.ts';
import type { PageItem } from './page.ts';
import type { Static } from './schema.ts';
import { type ListedItem, type ValueBody, valueJson } from './shapes.ts';

const unknownType = 'application/octet-stream';
/** Any other text, as other producers may have written, could not stand in a header. */
const safeType = /^[\x21-\x7e][\x20-\x7e]{0,254}$/;

/** The type that the bytes are sent with. */
export function sentType(contentType: string): string {
  return safeType.test(contentType) ? contentType : unknownType;
}

const mediaType = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+\/[!#$%&'*+.^_`|~0-9A-Za-z-]+[\t ]*(?:;[\x20-\x7e]*)?$/;

/** A type that may be stored. Errors: `bad-request`. */
export function checkedType(contentType: string): string {
  if (!mediaType.test(contentType)) throw new BitacoraError('bad-request', 'the content type is no media type');
  return contentType;
}

/** The headers that tell of a value, in whichever form. */
export function valueHeaders({ version, time, expires }: FoundValue, form: Form, log: string | undefined): string[] {
  const headers = ['Cache-Control', 'no-cache'];
  if (version !== undefined) headers.push('ETag', tagOf(version, form, log));
  if (time > 0 && time < lastHttpDate) headers.push('Last-Modified', new Date(time).toUTCString());
  headers.push(...expiresHeader(expires));
  return headers;
}

/** The last moment that an HTTP date can tell: the end of the year 9999. */
const lastHttpDate = 253_402_300_800_000;

export function expiresHeader(expires: number): readonly string[] {
  const deadline = isoOf(expires);
  return deadline === undefined ? [] : ['Bitacora-Expires', deadline];
}

/**
 * A value is somebody's bytes under this node's address: a browser may show them, and neither run them nor take them for another type.
 * An empty body has its type too, or a page stored empty would lose it.
 */
export function rawHeaders(found: FoundValue): readonly string[] {
  const shield = ['X-Content-Type-Options', 'nosniff', 'Content-Security-Policy', "default-src 'none'; sandbox"];
  return found.value.length > 0 ? shield : ['Content-Type', sentType(found.contentType), ...shield];
}

export function valueBody(key: string, found: FoundValue): Static<typeof ValueBody> {
  return { key, ...valueOr64(found.value), ...knownOf(found) };
}

/** Without its value where only keys are asked for. */
export function listedItem({ key, found, size }: PageItem, keysOnly: boolean): Static<typeof ListedItem> {
  return { key, ...(keysOnly ? {} : valueOr64(found.value)), ...knownOf(found), size };
}

/** Text where it is text, base64 where it is not. */
export function valueOr64(value: Uint8Array): { value: string } | { value_b64: string } {
  const text = textOf(value);
  return text === undefined ? { value_b64: Buffer.from(value).toString('base64') } : { value: text };
}

function knownOf({ version, time, expires, contentType, id }: FoundValue) {
  return {
    version: version === undefined ? null : formatPosition(version),
    updated: isoOf(time) ?? null,
    expires: isoOf(expires) ?? null,
    content_type: contentType === '' ? null : contentType,
    id,
  };
}

/** The JSON form is asked for by the parameter, or by `Accept` when it names it and not with `q=0`. */
export function formOf(format: Form | undefined, accept: string | undefined): Form {
  if (format !== undefined) return format;
  return accepts(accept, valueJson) ? 'json' : 'raw';
}

/** `Accept` names the type, and not with `q=0`. */
export function accepts(accept: string | undefined, mediaTypeWanted: string): boolean {
  return (accept ?? '').split(',', 32).some((range) => {
    const [type, ...parameters] = range.split(';');
    return type?.trim().toLowerCase() === mediaTypeWanted && !parameters.some((each) => /^\s*q\s*=\s*0(?:\.0{0,3})?\s*$/i.test(each));
  });
}
