/**
 * Parameters of a query or a form, `application/x-www-form-urlencoded`.
 *
 * Stricter than `URLSearchParams`, which passes broken escapes on and turns broken UTF-8 into U+FFFD: two different wrong keys would
 * then be the same key. Here both are a `bad-request`. Text is taken one character a byte, as node:http gives it, because a form may
 * hold UTF-8 without escapes (`curl -d` sends it so); in a request target Node's parser refuses that before it comes here.
 */
import { textOf } from '../../src/core/bytes.ts';
import { BitacoraError } from '../../src/core/errors.ts';

/** First value of each name: a repeated parameter does not override. */
export type Parameters = ReadonlyMap<string, string>;

/** Bytes that are not themselves: escapes, the blank's `+`, and what is not ASCII. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: bytes 0x00 to 0x7f are the ones that stand for themselves
const special = /[%+]|[^\x00-\x7f]/;

/** Errors: `bad-request`. */
export function parseParameters(encoded: string): Parameters {
  const parameters = new Map<string, string>();
  for (const pair of encoded.split('&')) {
    if (pair === '') continue;
    const equals = pair.indexOf('=');
    const name = decodeComponent(equals < 0 ? pair : pair.slice(0, equals));
    const value = equals < 0 ? '' : decodeComponent(pair.slice(equals + 1));
    if (!parameters.has(name)) parameters.set(name, value);
  }
  return parameters;
}

/** The parameters of a request target. Errors: `bad-request`. */
export function queryOf(url: string): Parameters {
  const start = url.indexOf('?');
  return start < 0 ? new Map() : parseParameters(url.slice(start + 1));
}

/** One name or value. Errors: `bad-request`. */
export function decodeComponent(encoded: string): string {
  return special.test(encoded) ? decode(encoded, space, 'the parameters are') : encoded;
}

/** A path or a part of one, where `+` stands for itself. Errors: `bad-request`. */
export function decodePath(encoded: string): string {
  return special.test(encoded) ? decode(encoded, plus, 'the path is') : encoded;
}

function decode(encoded: string, plusIs: number, what: string): string {
  const bytes = Buffer.allocUnsafe(encoded.length);
  let length = 0;
  for (let at = 0; at < encoded.length; at++) {
    const byte = encoded.charCodeAt(at);
    if (byte === percent) {
      bytes[length++] = hexDigit(encoded, at + 1) * 16 + hexDigit(encoded, at + 2);
      at += 2;
    } else {
      bytes[length++] = byte === plus ? plusIs : byte;
    }
  }
  const text = textOf(bytes.subarray(0, length));
  if (text === undefined) throw new BitacoraError('bad-request', `${what} not valid UTF-8`);
  return text;
}

const percent = 0x25;
const plus = 0x2b;
const space = 0x20;

function hexDigit(text: string, at: number): number {
  const code = text.charCodeAt(at);
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const letter = code | 0x20;
  if (letter >= 0x61 && letter <= 0x66) return letter - 0x57;
  throw new BitacoraError('bad-request', 'a % is not followed by two hexadecimal digits');
}
