/** How the taking of a store from one peer ended without one. */
import { BitacoraError } from '../src/core/errors.ts';

/**
 * `broken`: the connection; it may be gone on with where it broke. All others end the matter with this peer: `refused` (it does not give
 * now, or not this), `slow`, `lied` (what it said cannot be true).
 */
export type SeedTrouble = 'broken' | 'refused' | 'slow' | 'lied';

export class SeedFailure extends Error {
  readonly trouble: SeedTrouble;

  constructor(trouble: SeedTrouble, reason: string, options?: { cause?: unknown }) {
    super(reason, options);
    this.name = 'SeedFailure';
    this.trouble = trouble;
  }
}

/** What a store says of the rows that it was given. What is of this node's own disk is left as it is. */
export function asFailure(error: unknown): unknown {
  return error instanceof BitacoraError && error.code === 'store-damaged'
    ? new SeedFailure('lied', error.message, { cause: error })
    : error;
}
