/** The answers to writes. */
import { formatPosition } from '../../../src/core/position.ts';
import type { Expectation, Millis, Written } from '../../../src/ports.ts';
import type { Told } from './answering.ts';
import { isoOf } from './deadline.ts';
import { tagOf } from './entity-tag.ts';
import { expiresHeader } from './representation.ts';

/** Of a write that left a value: that the key was absent is known only where it was the condition. */
export function writtenAnswer(
  key: string,
  { position, id }: Written,
  expires: Millis | undefined,
  condition: Expectation | undefined,
  log: string | undefined,
): Told {
  return {
    status: condition === 'absent' ? 201 : 200,
    headers: ['ETag', tagOf(position, 'raw', log), ...expiresHeader(expires ?? 0), 'Cache-Control', 'no-store'],
    body: `${JSON.stringify({ key, version: formatPosition(position), expires: isoOf(expires ?? 0) ?? null, id })}\n`,
  };
}

/** Of a delete. */
export const removedAnswer: Told = { status: 204, headers: ['Cache-Control', 'no-store'] };
