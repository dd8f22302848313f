/** Requests on many keys by their prefix. */
import { type Ask, queryOf } from './ask.ts';
import { Fields, fieldsOf } from './fields.ts';
import { reading } from './keys.ts';
import { listedOf } from './records.ts';
import type { Seen } from './seen.ts';
import type { Count, ListOptions, Page, ReadOptions } from './types.ts';

export function listPage(seen: Seen, options: Omit<ListOptions, 'signal' | 'timeoutMs'>): Ask<Page> {
  const { prefix, delimiter, limit, keysOnly, cursor, consistency } = options;
  return {
    ...reading(seen, consistency),
    method: 'GET',
    path: `/v1/kv${queryOf({ prefix, delimiter, limit, cursor, consistency, keys_only: keysOnly ? 1 : undefined })}`,
    take: (reply) => {
      const page = fieldsOf(reply);
      const items = page.list('items').map((item) => listedOf(new Fields(item)));
      return { items, prefixes: page.texts('prefixes'), cursor: page.textIfAny('cursor') };
    },
  };
}

export function countKeys(seen: Seen, prefix: string, { consistency }: ReadOptions): Ask<Count> {
  return {
    ...reading(seen, consistency),
    method: 'GET',
    path: `/v1/kv${queryOf({ prefix, consistency, count: 1 })}`,
    take: (reply) => {
      const body = fieldsOf(reply);
      return { count: body.number('count'), more: body.flag('more') };
    },
  };
}
