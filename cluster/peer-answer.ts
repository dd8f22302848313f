/**
 * What a peer's HTTP answer means. Nothing of it is trusted: an answer that does not fit the question exactly is `undefined`, a failure.
 *
 * ```
 * 200 {"key","value" | "value_b64","timestamp","source","ttl","uuid"[,"version","contentType"]}   found (ttl -1: expired, so absent)
 * 404 with Bitacora-Applied, or  an older node's {"message": "Key K not found"}, K not escaped     absent
 * ```
 */
import { bytesOf, textOf } from '../src/core/bytes.ts';
import { parsePosition } from '../src/core/position.ts';
import type { FoundValue, Millis, PeerAnswer } from '../src/ports.ts';

export interface PeerReply {
  readonly status: number;
  /** `Bitacora-Applied`, `Bitacora-Genesis`. */
  readonly applied: string | undefined;
  readonly genesis: string | undefined;
  readonly body: Uint8Array;
}

/** Undefined: the reply is no answer to the question about `key`. */
export function readPeerReply(from: string, key: string, reply: PeerReply): PeerAnswer | undefined {
  const position = reply.applied === undefined ? undefined : parsePosition(reply.applied);
  if (reply.applied !== undefined && position === undefined) return undefined;
  const known = { from, next: position?.offset, genesis: reply.genesis };
  const text = textOf(reply.body);
  if (reply.status === 404) {
    const absent = position !== undefined || (text !== undefined && /^\s*\{\s*"message"\s*:\s*"Key /.test(text));
    return absent ? { ...known, found: undefined } : undefined;
  }
  if (reply.status !== 200 || text === undefined) return undefined;
  const fields = parseObject(text);
  if (fields === undefined || fields['key'] !== key) return undefined;
  if (fields['ttl'] === expired) return { ...known, found: undefined };
  const found = readFound(fields);
  return found === undefined ? undefined : { ...known, found };
}

/** The original's number for a value that is over. */
const expired = -1;

type Fields = Readonly<Record<string, unknown>>;

function parseObject(text: string): Fields | undefined {
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed) ? (parsed as Fields) : undefined;
  } catch {
    return undefined;
  }
}

function readFound(fields: Fields): FoundValue | undefined {
  const { timestamp, ttl, uuid, version, contentType } = fields;
  const value = readValue(fields);
  const position = typeof version === 'string' ? parsePosition(version) : undefined;
  if (value === undefined || !isTime(timestamp) || !isTime(ttl)) return undefined;
  if (typeof version === 'string' && position === undefined) return undefined;
  return {
    value,
    version: position,
    time: timestamp,
    expires: ttl,
    id: typeof uuid === 'string' ? uuid : '',
    contentType: typeof contentType === 'string' ? contentType : '',
  };
}

function readValue(fields: Fields): Uint8Array | undefined {
  const { value, value_b64: encoded } = fields;
  if (typeof value === 'string') return bytesOf(value);
  if (typeof encoded !== 'string') return undefined;
  const bytes = Buffer.from(encoded, 'base64');
  return bytes.toString('base64') === encoded ? bytes : undefined;
}

function isTime(value: unknown): value is Millis {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
