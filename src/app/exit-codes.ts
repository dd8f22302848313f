/** With which code a command ends when a call has failed: one meaning for all commands. */
import type { ClientError } from '../../client/errors.ts';

export const exitCodes = {
  done: 0,
  other: 1,
  usage: 2,
  notFound: 3,
  conflict: 4,
  unreachable: 5,
  timeout: 6,
  logUnavailable: 8,
} as const;

const byCode: Readonly<Record<string, number>> = {
  'bad-request': exitCodes.usage,
  'key-invalid': exitCodes.usage,
  'value-too-large': exitCodes.usage,
  'version-conflict': exitCodes.conflict,
  connection: exitCodes.unreachable,
  timeout: exitCodes.timeout,
  'unknown-outcome': exitCodes.timeout,
  'position-not-reached': exitCodes.timeout,
  'log-unavailable': exitCodes.logUnavailable,
};

export function exitCodeOf({ code }: ClientError): number {
  return byCode[code] ?? exitCodes.other;
}
