/** What a key was: its versions, and making it that again. */
import { refused } from '../options.ts';
import { type Ask, queryOf } from './ask.ts';
import { checkedTtl, pathOf } from './checks.ts';
import { completeSinceOf } from './failures.ts';
import { Fields, fieldsOf, Malformed } from './fields.ts';
import { conditionHeaders, reading } from './keys.ts';
import { momentText } from './moment.ts';
import { contentOf, writtenOf } from './records.ts';
import type { Seen } from './seen.ts';
import type { History, HistoryOptions, KeyVersion, Moment, RevertOptions, Written } from './types.ts';

export function history(seen: Seen, key: string, { limit, since, before, consistency }: HistoryOptions): Ask<History> {
  const query = queryOf({ limit, before, since: momentText(since, 'since'), consistency });
  return {
    ...reading(seen, consistency),
    method: 'GET',
    path: `${pathOf(key, 'history')}${query}`,
    take: (reply) => {
      const page = fieldsOf(reply);
      return {
        key: page.text('key'),
        versions: page.list('versions').map((version) => versionOf(new Fields(version))),
        completeSince: completeSinceOf(page.fields('complete_since')),
        cursor: page.textIfAny('cursor'),
      };
    },
  };
}

/** Undefined: there was nothing, and the key is deleted. */
export function revert(seen: Seen, key: string, at: Moment, options: RevertOptions): Ask<Written | undefined> {
  if (at === undefined) throw refused('revert to which moment?');
  const { consistency, ttlMs } = options;
  return {
    ...reading(seen, consistency),
    write: true,
    method: 'POST',
    path: `${pathOf(key, 'revert')}${queryOf({ at: momentText(at, 'at'), ttl: checkedTtl(ttlMs), consistency })}`,
    headers: conditionHeaders(options) ?? {},
    take: (reply) => (reply.status === 204 ? undefined : writtenOf(fieldsOf(reply))),
  };
}

function versionOf(fields: Fields): KeyVersion {
  const op = fields.text('op');
  const known = { version: fields.text('version'), time: fields.timeIfAny('time'), id: fields.text('id'), by: fields.text('by') };
  if (op === 'delete') return { op, ...known };
  if (op !== 'put') throw new Malformed('a version is neither a put nor a delete');
  return { op, ...known, ...contentOf(fields) };
}
