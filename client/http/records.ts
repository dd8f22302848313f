/** Values and what is known of them, as `/v1` tells them in JSON. */
import { bytesOf, looseTextOf } from '../../src/core/bytes.ts';
import { parsePosition, parseToken } from '../../src/core/position.ts';
import type { KeyRecord } from '../client.ts';
import { headerOf } from './ask.ts';
import type { Reply } from './exchange.ts';
import { type Fields, fieldsOf, Malformed } from './fields.ts';
import type { Content, ListedRecord, StoredRecord, Written } from './types.ts';

const unknownTime = new Date(0);

/** Errors: `Malformed`. */
export function recordOf(reply: Reply): KeyRecord {
  const stored = storedOf(fieldsOf(reply));
  const told = headerOf(reply, 'bitacora-source');
  const source = told === 'peer' || told === 'stale' ? told : 'local';
  const partition = parsePosition(stored.version ?? '')?.partition;
  const token = parseToken(reply.headers['bitacora-position']?.toString() ?? '');
  const reached = token?.positions.find((position) => position.partition === partition);
  return { ...stored, source, position: reached === undefined ? undefined : `${reached.partition}:${reached.offset}` };
}

/** A value with its bytes. Errors: `Malformed`. */
export function storedOf(fields: Fields): StoredRecord {
  const value = bytesIn(fields);
  if (value === undefined) throw new Malformed('there is no value');
  return { ...knownOf(fields), value, text: () => looseTextOf(value) };
}

/** Errors: `Malformed`. */
export function listedOf(fields: Fields): ListedRecord {
  const value = bytesIn(fields);
  return { ...knownOf(fields), value, text: () => value && looseTextOf(value), size: fields.number('size') };
}

/** Errors: `Malformed`. */
export function writtenOf(fields: Fields): Written {
  return { version: fields.text('version'), id: fields.text('id'), expires: fields.timeIfAny('expires') };
}

function knownOf(fields: Fields): Omit<StoredRecord, 'value' | 'text'> {
  return {
    key: fields.text('key'),
    version: fields.textIfAny('version'),
    timestamp: fields.timeIfAny('updated') ?? unknownTime,
    expires: fields.timeIfAny('expires'),
    contentType: fields.textIfAny('content_type'),
    id: fields.text('id'),
  };
}

/** What a put wrote. Errors: `Malformed`. */
export function contentOf(fields: Fields): Content {
  const bytes = bytesIn(fields);
  if (bytes === undefined) throw new Malformed('there is no value');
  const value = fields.textIfAny('value') ?? looseTextOf(bytes);
  return { value, bytes, expires: fields.timeIfAny('expires'), contentType: fields.textIfAny('content_type') };
}

function bytesIn(fields: Fields): Uint8Array | undefined {
  if (fields.has('value')) return bytesOf(fields.text('value'));
  return fields.has('value_b64') ? Buffer.from(fields.text('value_b64'), 'base64') : undefined;
}
