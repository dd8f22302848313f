/**
 * Entity tags, RFC 9110 section 8.8.3. A value's is its version; the JSON form has its own, for a strong tag names bytes.
 *
 * ```
 * tag   = ["W/"] DQUOTE *(%x21 / %x23-7E / %x80-FF) DQUOTE
 * list  = "*" / tag *("," tag)        empty members and blanks between are passed over
 * ours  = "0:17@8f14e45f"  /  "0:17@8f14e45f.json"
 * ```
 * The log is named as in session tokens, because a version of one log may stand in another, under the same key even. One that names none is
 * taken as one of the log that the node follows.
 */
import { BitacoraError } from '../../../src/core/errors.ts';
import { formatPosition, parsePosition } from '../../../src/core/position.ts';
import type { Position } from '../../../src/ports.ts';

export interface EntityTag {
  readonly weak: boolean;
  /** With its quotes. */
  readonly opaque: string;
}

export type Form = 'raw' | 'json';

/** A version, and of which log. */
export interface TaggedVersion {
  readonly position: Position;
  /** As `logOf` names it; undefined: whichever. */
  readonly log: string | undefined;
}

/** `log` undefined: nobody knows. */
export function tagOf(version: Position, form: Form, log: string | undefined): string {
  return `"${formatPosition(version)}${log === undefined ? '' : `@${log}`}${form === 'json' ? '.json' : ''}"`;
}

/** Undefined: no tag of ours. */
export function versionOf(opaque: string): TaggedVersion | undefined {
  const [, place = '', log] = /^"(.*?)(?:@([0-9a-f]{8}))?(?:\.json)?"$/.exec(opaque) ?? [];
  const position = parsePosition(place);
  return position && { position, log };
}

/** Errors: `bad-request`, naming the header. */
export function parseTags(text: string, header: string): '*' | readonly EntityTag[] {
  if (text.trim() === '*') return '*';
  const tags: EntityTag[] = [];
  // Sticky, so that nothing is skipped; each alternative begins with another character, so that nothing is tried twice.
  const part = /[ \t,]+|(W\/)?("[\x21\x23-\x7e\x80-\xff]*")(?=[ \t,]|$)/y;
  while (part.lastIndex < text.length) {
    const match = part.exec(text);
    if (match === null) throw malformed(header);
    if (match[2] !== undefined) tags.push({ weak: match[1] !== undefined, opaque: match[2] });
  }
  if (tags.length === 0) throw malformed(header);
  return tags;
}

function malformed(header: string): BitacoraError {
  return new BitacoraError('bad-request', `${header} is neither * nor a list of entity tags: a version is sent in quotes, "0:17"`);
}
