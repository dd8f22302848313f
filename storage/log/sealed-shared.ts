/** What every log says to who writes to it when it is sealed. */
import { BitacoraError } from '../../src/core/errors.ts';

export function sealedError(): BitacoraError {
  return new BitacoraError('log-sealed', 'the log is sealed and takes no writes');
}
