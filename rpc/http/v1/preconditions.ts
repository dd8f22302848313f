/** `If-Match` and `If-None-Match`, RFC 9110 section 13: what a write expects, and whether a reader has the value already. */
import { BitacoraError, VersionConflict } from '../../../src/core/errors.ts';
import type { Expectation, Position } from '../../../src/ports.ts';
import { type Form, parseTags, tagOf, versionOf } from './entity-tag.ts';

export interface Conditions {
  readonly 'If-Match'?: string;
  readonly 'If-None-Match'?: string;
}

/**
 * What a write expects under its key; undefined: anything. The log decides one expectation: several tags, and all that would only ever
 * fail, are refused instead of guessed at. `log`: the one that this node follows, undefined while it does not know.
 * Errors: `bad-request`, `position-foreign` (a version of another log), `position-not-reached`.
 */
export function expectationOf(conditions: Conditions, log: string | undefined): Expectation | undefined {
  const match = conditions['If-Match'];
  const none = conditions['If-None-Match'];
  if (match !== undefined && none !== undefined) throw new BitacoraError('bad-request', 'If-Match and If-None-Match cannot both hold');
  if (none !== undefined) {
    if (parseTags(none, 'If-None-Match') === '*') return 'absent';
    throw new BitacoraError('bad-request', 'If-None-Match of a write takes * alone: only if the key is absent');
  }
  return match === undefined ? undefined : expectedVersion(match, log);
}

function expectedVersion(match: string, log: string | undefined): Expectation {
  const tags = parseTags(match, 'If-Match');
  if (tags === '*') return 'present';
  const [tag, ...others] = tags;
  if (tag === undefined || others.length > 0)
    throw new BitacoraError('bad-request', 'If-Match takes one version: a write expects one state');
  if (tag.weak) throw new BitacoraError('bad-request', 'If-Match with a weak tag (W/) never holds: something between has changed the ETag');
  const version = versionOf(tag.opaque);
  if (version === undefined) throw new BitacoraError('bad-request', 'the tag in If-Match is no version: it looks like "0:17"');
  if (version.log !== undefined && version.log !== log) {
    if (log === undefined) throw new BitacoraError('position-not-reached', 'this node does not know its log yet');
    throw new BitacoraError('position-foreign', `the version is of the log ${version.log}, this is ${log}`);
  }
  return version.position;
}

/** True: the reader has the version already, in this form. Errors: `bad-request`. */
export function isKnown(none: string | undefined, version: Position | undefined, form: Form, log: string | undefined): boolean {
  if (none === undefined) return false;
  const tags = parseTags(none, 'If-None-Match');
  if (tags === '*') return true;
  if (version === undefined) return false;
  const known = [tagOf(version, form, log), tagOf(version, form, undefined)];
  return tags.some(({ opaque }) => known.includes(opaque));
}

/** A reader who wants one version only. Errors: `bad-request`, `version-conflict`. */
export function checkMatch(match: string | undefined, version: Position | undefined, log: string | undefined): void {
  if (match === undefined) return;
  const tags = parseTags(match, 'If-Match');
  const wanted = (opaque: string): boolean => {
    const one = versionOf(opaque);
    if (one === undefined || version === undefined || (one.log !== undefined && one.log !== log)) return false;
    return one.position.partition === version.partition && one.position.offset === version.offset;
  };
  if (tags !== '*' && !tags.some(({ weak, opaque }) => !weak && wanted(opaque))) throw new VersionConflict(version);
}
