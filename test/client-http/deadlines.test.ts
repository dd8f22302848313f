/** A deadline by the clock on the wall comes through to the millisecond, whatever the nodes' clocks say. */
import { expect, test } from 'vitest';
import { client, failureOf, node } from './setting.ts';

test('of a put, and in a batch', async () => {
  const { port, keyValue } = await node();
  const kv = client([port]);
  const expires = new Date(Date.now() + 123_457);
  const last = new Date(8_640_000_000_000_000);
  expect((await kv.put('a', '1', { expires })).expires).toEqual(expires);
  await kv.batch([
    { op: 'put', key: 'b', value: '2', expires },
    { op: 'put', key: 'c', value: '3', expires: last },
  ]);
  for (const [key, deadline] of Object.entries({ a: expires, b: expires, c: last })) {
    expect((await keyValue.readLocal(key)).found?.expires).toBe(deadline.getTime());
    expect((await kv.getRecord(key))?.expires).toEqual(deadline);
  }
});

test('that has passed, is none, or stands beside a time to live, is refused', async () => {
  const { port, keyValue } = await node();
  const kv = client([port]);
  const past = new Date(Date.now() - 1_000);
  const [result] = await kv.batch([{ op: 'put', key: 'a', value: '1', expires: past }]);
  expect(result?.error?.code).toBe('bad-request');
  for (const wrong of [{ expires: past }, { expires: new Date(Number.NaN) }, { expires: '2030' as never }, { expires: past, ttlMs: 5 }]) {
    expect((await failureOf(kv.put('a', '1', wrong))).code).toBe('bad-request');
  }
  expect(keyValue.written).toEqual([]);
});
