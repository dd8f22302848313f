/** Text, keys and positions: what is let in, and that nothing is changed on the way. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bytesOf, looseTextOf, textOf } from '../../src/core/bytes.ts';
import { BitacoraError, codeOf } from '../../src/core/errors.ts';
import { checkKey, checkValue, isSystemKey } from '../../src/core/keys.ts';
import { formatPosition, newestSeen, parsePosition } from '../../src/core/position.ts';
import type { Offset, Partition } from '../../src/ports.ts';

const limits = { maxKeyBytes: 1_024, maxValueBytes: 10 };

/** The code and message of what a call throws. */
function refusal(call: () => unknown): { code: string; message: string } {
  try {
    call();
  } catch (error) {
    return { code: codeOf(error), message: (error as BitacoraError).message };
  }
  return { code: 'none', message: '' };
}

describe('text and bytes', () => {
  test('well-formed text comes back as it was, U+FFFD, NUL and a byte order mark included', () => {
    for (const text of ['', '\uFFFD', 'a\uFFFDb', '\0x', '\uFEFFx', 'ñ😀\u0301']) expect(textOf(bytesOf(text))).toBe(text);
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(textOf(bytesOf(text))).toBe(text);
      }),
    );
  });

  test('bytes that are not UTF-8 are no text: cut short, overlong, surrogates, and beside a true U+FFFD', () => {
    for (const bytes of [[0xc3], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf5, 0x80, 0x80, 0x80], [0xef, 0xbf, 0xbd, 0xff]]) {
      expect(textOf(new Uint8Array(bytes))).toBeUndefined();
      expect(looseTextOf(new Uint8Array(bytes))).toContain('\uFFFD');
    }
  });

  test('any bytes either are text that writes back to them, or are refused', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 12 }), (bytes) => {
        const text = textOf(bytes);
        if (text !== undefined) expect(new Uint8Array(bytesOf(text))).toEqual(bytes);
      }),
    );
  });
});

describe('keys and values', () => {
  test.each([
    ['', 'missing or blank'],
    [' \t\n', 'missing or blank'],
    ['\0genesis', 'reserved'],
    ['\0', 'reserved'],
    ['a\uD800', 'well-formed'],
    ['\uDC00a', 'well-formed'],
    ['x'.repeat(1_025), '1025 bytes, the limit is 1024'],
    ['ñ'.repeat(513), '1026 bytes, the limit is 1024'],
  ])('the key %j is refused, saying why', (key, why) => {
    const { code, message } = refusal(() => checkKey(key, limits));
    expect(code).toBe('key-invalid');
    expect(message).toContain(why);
  });

  test.each(['a', ' a ', 'ñ'.repeat(512), 'x'.repeat(1_024), '\uFFFD', '😀', 'a\0b', '__proto__'])('the key %j is taken', (key) => {
    expect(textOf(checkKey(key, limits))).toBe(key);
    expect(isSystemKey(key)).toBe(false);
  });

  test('a value may have as many bytes as the limit and not one more', () => {
    expect(refusal(() => checkValue(new Uint8Array(10), limits)).code).toBe('none');
    expect(refusal(() => checkValue(new Uint8Array(11), limits))).toEqual({
      ...{ code: 'value-too-large', message: 'the value has 11 bytes, the limit is 10' },
    });
  });

  test('what did not come from here has the code internal', () => {
    expect([codeOf(new Error('x')), codeOf('x'), codeOf(undefined)]).toEqual(['internal', 'internal', 'internal']);
    expect(new BitacoraError('overloaded', 'x').kind.status).toBe(503);
  });
});

describe('positions', () => {
  test('come back as they were written', () => {
    fc.assert(
      fc.property(fc.nat(), fc.maxSafeNat(), (partition, offset) => {
        const position = { partition: partition as Partition, offset: offset as Offset };
        expect(parsePosition(formatPosition(position))).toEqual(position);
      }),
    );
  });

  test.each(['', ':', '1', '1:', ':1', '-1:2', '1:-2', '1.5:2', '1: 2', '1:2\n', '١:٢', '1:9007199254740992', '0x1:2', '1:2:3'])(
    '%j is none',
    (text) => expect(parsePosition(text)).toBeUndefined(),
  );

  test('the newest position seen is the one before what is applied next; none in an empty partition', () => {
    const partition = 3 as Partition;
    expect(newestSeen({ partition, offset: 0 as Offset })).toBeUndefined();
    expect(newestSeen({ partition, offset: 7 as Offset })).toEqual({ partition, offset: 6 });
  });
});
