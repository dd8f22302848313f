/** Where a listing goes on: the last name of the page before, in base64url, which callers hand back and do not look into. */
import { bytesOf, textOf } from '../../../src/core/bytes.ts';
import { BitacoraError } from '../../../src/core/errors.ts';

export function cursorOf(last: string): string {
  return Buffer.from(bytesOf(last)).toString('base64url');
}

/** The name behind which to go on. Errors: `bad-request`, also for the cursor of another prefix. */
export function afterCursor(cursor: string | undefined, prefix: string): string | undefined {
  if (cursor === undefined) return undefined;
  const bytes = Buffer.from(cursor, 'base64url');
  const name = textOf(bytes);
  // Written back, so that nothing is passed over that is no base64url.
  if (name === undefined || bytes.length === 0 || bytes.toString('base64url') !== cursor || !name.startsWith(prefix)) {
    throw new BitacoraError('bad-request', 'the cursor is not one of this listing');
  }
  return name;
}
