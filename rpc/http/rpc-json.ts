/**
 * The bodies of `/rpc`, as the original's clients read them: field order, spaces and the newline are part of the format.
 *
 * ```
 * found    {"key":K,"value":V,"timestamp":ms,"source":1|2|3,"ttl":0|deadline,"uuid":U}\n
 * unknown  {"message": "Key K not found"}
 * blank    {"message": "Error: 400"}
 * peers    {"key":K,"value":V | "value_b64":B,"timestamp":…,"source":…,"ttl":…,"uuid":U,"version":"p:o"|null,"contentType":T}\n
 * ```
 */
import { looseTextOf, textOf } from '../../src/core/bytes.ts';
import { formatPosition, newestSeen } from '../../src/core/position.ts';
import type { FoundValue, ReadAnswer, ReadSource } from '../../src/ports.ts';

export const json = 'application/json';
/** What a node asks of another node: bytes that are not text survive, and the version is told. */
export const nodeJson = 'application/vnd.bitacora+json';

/** The original's numbers: 0 missing, 1 from the log, 2 from a peer, 3 producer. */
const sourceNumber: Readonly<Record<ReadSource, number>> = { local: 1, peer: 2, stale: 3 };

/** What a caller sees. A value that is not UTF-8 is shown with U+FFFD: the format has no other way. */
export function foundBody(key: string, found: FoundValue, source: ReadSource): string {
  return `{"key":${JSON.stringify(key)},"value":${JSON.stringify(looseTextOf(found.value))},${metadata(found, source)}}\n`;
}

/** What another node sees. */
export function nodeBody(key: string, found: FoundValue, source: ReadSource): string {
  const text = textOf(found.value);
  const value = text === undefined ? `"value_b64":"${Buffer.from(found.value).toString('base64')}"` : `"value":${JSON.stringify(text)}`;
  const version = found.version === undefined ? 'null' : `"${formatPosition(found.version)}"`;
  const more = `"version":${version},"contentType":${JSON.stringify(found.contentType)}`;
  return `{"key":${JSON.stringify(key)},${value},${metadata(found, source)},${more}}\n`;
}

function metadata(found: FoundValue, source: ReadSource): string {
  return `"timestamp":${found.time},"source":${sourceNumber[source]},"ttl":${found.expires},"uuid":${JSON.stringify(found.id)}`;
}

export function notFoundBody(key: string): string {
  return messageBody(`Key ${key} not found`);
}

/** Of a GET without a key, word for word the original's. */
export const blankKeyBody = messageBody('Error: 400');

/** `code` is ours: callers decide by it and never by the message. */
export function messageBody(message: string, code?: string): string {
  return `{"message": ${JSON.stringify(message)}${code === undefined ? '' : `, "code": ${JSON.stringify(code)}`}}`;
}

/** The header that tells up to which record an answer reflects the log. */
export function seen(answer: ReadAnswer): readonly string[] {
  const position = newestSeen(answer.applied);
  return position === undefined ? [] : ['Bitacora-Position', formatPosition(position)];
}
