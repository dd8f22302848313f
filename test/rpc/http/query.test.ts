/** Parameters come out as they went in, and nothing broken comes out at all. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseParameters, queryOf } from '../../../rpc/http/query.ts';
import { codeOf } from '../../../src/core/errors.ts';

const text = fc.string({ unit: 'binary' });

test('what a form encodes is what is read, by either way of encoding', () => {
  fc.assert(
    fc.property(text, text, (key, value) => {
      const expected = { key, value };
      expect(Object.fromEntries(parseParameters(new URLSearchParams(expected).toString()))).toEqual(expected);
      expect(Object.fromEntries(queryOf(`/rpc?key=${encodeURIComponent(key)}&value=${encodeURIComponent(value)}`))).toEqual(expected);
    }),
  );
});

test('any bytes are either UTF-8 and read, or refused', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 12 }), (bytes) => {
      const encoded = [...bytes].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');
      let expected: string | undefined;
      try {
        expected = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
      } catch {
        expected = undefined;
      }
      if (expected !== undefined) expect(parseParameters(`k=${encoded}`).get('k')).toBe(expected);
      else expect(codeOf(catching(() => parseParameters(`k=${encoded}`)))).toBe('bad-request');
    }),
  );
});

test('no input of any kind does anything but parse or say bad-request', () => {
  const piece = fc.constantFrom('%', '%4', '%41', '%c3', '%b1', '+', '&', '=', 'k', 'ÿ', '%FF', '?', '#', '\0');
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const error = catching(() => parseParameters(pieces.join('')));
      if (error !== undefined) expect(codeOf(error)).toBe('bad-request');
    }),
  );
});

function catching(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  return undefined;
}
