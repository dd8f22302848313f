/** What a key was: versions, reads of a moment, reverts; and what the log does not tell any more. */
import { describe, expect, test } from 'vitest';
import { HistoryCompactedError, VersionConflictError } from '../../client/http/index.ts';
import { cluster } from './cluster.ts';
import { client, failureOf, fake, later, node, problem, say } from './setting.ts';

describe('history', () => {
  test('tells puts and deletes, the newest first', async () => {
    const kv = client([(await node()).port]);
    const first = await kv.put('a/b', 'grün', { contentType: 'text/plain', ttlMs: 60_000 });
    await kv.put('other', '1');
    await kv.del('a/b');
    await kv.put('a/b', Uint8Array.of(0xff));
    const { key, versions, cursor, completeSince } = await kv.history('a/b');
    expect(key).toBe('a/b');
    expect(versions.map(({ op }) => op)).toEqual(['put', 'delete', 'put']);
    expect(versions[0]).toMatchObject({ value: '\ufffd', bytes: Buffer.of(0xff), expires: undefined, contentType: undefined });
    expect(versions[1]).toEqual({ op: 'delete', version: expect.any(String), time: expect.any(Date), id: expect.any(String), by: 'n1' });
    expect(versions[2]).toEqual({
      op: 'put',
      value: 'grün',
      bytes: Buffer.from('grün'),
      version: first.version,
      expires: first.expires,
      contentType: 'text/plain',
      time: expect.any(Date),
      id: first.id,
      by: 'n1',
    });
    expect(cursor).toBeUndefined();
    expect(completeSince).toMatchObject({ position: expect.stringMatching(/^\d:0$/), time: expect.any(Date) });
  });

  test('page by page', async () => {
    const kv = client([(await node()).port]);
    for (let count = 0; count < 5; count++) await kv.put('k', String(count));
    const values: string[] = [];
    let before: string | undefined;
    do {
      const page = await kv.history('k', { limit: 2, before });
      for (const each of page.versions) if (each.op === 'put') values.push(each.value);
      before = page.cursor;
    } while (before !== undefined);
    expect(values).toEqual(['4', '3', '2', '1', '0']);
  });

  test('since a moment: a version, a time, how long ago', async () => {
    const kv = client([(await node()).port]);
    await kv.put('k', '1');
    await later(5);
    const time = new Date();
    const { version } = await kv.put('k', '2');
    for (const since of [version, time, time.toISOString(), String(time.getTime())]) {
      expect((await kv.history('k', { since })).versions.map((each) => each.op === 'put' && each.value)).toEqual(['2']);
    }
    expect((await kv.history('k', { since: '1h' })).versions).toHaveLength(2);
  });

  test('of a key without any is empty; compacted is told with what may be asked for', async () => {
    const { port, keyValue } = await node();
    const kv = client([port]);
    expect((await kv.history('none')).versions).toEqual([]);
    for (let count = 0; count < 5; count++) await kv.put('k', String(count));
    const [newest] = (await kv.history('k')).versions;
    const partition = Number(newest?.version.split(':')[0]);
    keyValue.log.completeFrom[partition] = 3;
    const error = await failureOf(kv.history('k', { since: `${partition}:0` }));
    expect(error).toBeInstanceOf(HistoryCompactedError);
    expect(error).toMatchObject({ code: 'history-compacted', retryable: false, completeSince: { position: `${partition}:3` } });
    expect(await failureOf(kv.get('k', { at: `${partition}:1` }))).toMatchObject({ completeSince: { position: `${partition}:3` } });
    expect((await kv.history('k', { since: `${partition}:3` })).versions).toHaveLength(2);
  });
});

describe('a moment', () => {
  test('get, getBytes, getRecord and getJson', async () => {
    const kv = client([(await node()).port]);
    const { version } = await kv.put('k', '{"n":1}', { contentType: 'application/json' });
    await kv.put('k', '{"n":2}');
    expect(await kv.get('k', { at: version })).toBe('{"n":1}');
    expect(await kv.getBytes('k', { at: version })).toEqual(Buffer.from('{"n":1}'));
    expect(await kv.getJson('k', { at: version })).toEqual({ n: 1 });
    expect(await kv.getRecord('k', { at: version })).toMatchObject({ version, contentType: 'application/json' });
    expect(await kv.get('k')).toBe('{"n":2}');
  });

  test('before there was anything, or after a delete: undefined', async () => {
    const kv = client([(await node()).port]);
    await kv.put('k', '1');
    await kv.del('k');
    await later(5);
    const time = new Date();
    await later(5);
    await kv.put('k', '2');
    expect(await kv.get('k', { at: time })).toBeUndefined();
    expect(await kv.get('k', { at: '1h' })).toBeUndefined();
  });

  test.each([new Date(Number.NaN), '', 17 as never])('that is none: %j', async (at) => {
    const { port, requests } = await fake((_, response) => say(response, 200));
    const kv = client([port]);
    expect(await failureOf(kv.get('k', { at }))).toMatchObject({ code: 'bad-request' });
    expect(await failureOf(kv.revert('k', at))).toMatchObject({ code: 'bad-request' });
    expect(requests).toHaveLength(0);
  });

  test('that makes no sense to the node', async () => {
    const kv = client([(await node()).port]);
    expect(await failureOf(kv.get('k', { at: 'yesterday' }))).toMatchObject({ code: 'bad-request' });
    expect(await failureOf(kv.get('k', { at: '2999-01-01T00:00:00Z' }))).toMatchObject({ code: 'bad-request' });
  });
});

describe('revert', () => {
  test('writes what was there, without its deadline', async () => {
    const kv = client([(await node()).port]);
    const { version } = await kv.put('a/b', 'old', { contentType: 'text/plain', ttlMs: 60_000 });
    await kv.put('a/b', 'new');
    const written = await kv.revert('a/b', version);
    expect(written).toMatchObject({ version: expect.any(String), expires: undefined });
    expect(await kv.getRecord('a/b')).toMatchObject({ version: written?.version, contentType: 'text/plain', expires: undefined });
    expect(await kv.get('a/b')).toBe('old');
    expect((await kv.revert('a/b', version, { ttlMs: 60_000 }))?.expires).toBeInstanceOf(Date);
  });

  test('deletes where there was nothing', async () => {
    const kv = client([(await node()).port]);
    await kv.put('k', '1');
    expect(await kv.revert('k', '1h')).toBeUndefined();
    expect(await kv.get('k')).toBeUndefined();
  });

  test('on a condition', async () => {
    const kv = client([(await node()).port]);
    const { version: old } = await kv.put('k', 'old');
    const { version } = await kv.put('k', 'new');
    const error = await failureOf(kv.revert('k', old, { ifVersion: old }));
    expect(error).toBeInstanceOf(VersionConflictError);
    expect(error).toMatchObject({ current: version });
    await kv.revert('k', old, { ifVersion: version });
    expect(await kv.get('k')).toBe('old');
  });

  test('that was sent is not sent again', async () => {
    const { port, requests } = await fake((_, response) => void response.socket?.destroy());
    expect(await failureOf(client([port]).revert('k', '0:1'))).toMatchObject({ code: 'unknown-outcome', retryable: false });
    expect(requests).toMatchObject([{ method: 'POST', path: '/v1/revert/k?at=0%3A1' }]);
  });

  test('that certainly did nothing is', async () => {
    const { port, requests } = await fake((_, response, number) =>
      number === 1 ? problem(response, 503, 'draining') : say(response, 204),
    );
    expect(await client([port]).revert('k', '0:1')).toBeUndefined();
    expect(requests).toHaveLength(2);
  });
});

test('real nodes tell the same, whichever is asked', async () => {
  const { ports } = await cluster(2);
  const kv = client(ports);
  const versions: string[] = [];
  for (let count = 0; count < 10; count++) versions.unshift((await kv.put('k', String(count))).version);
  for (const port of ports) {
    const one = client([port], { position: kv.position });
    expect((await one.history('k')).versions.map(({ version }) => version)).toEqual(versions);
    expect(await one.get('k', { at: versions[6] })).toBe('3');
  }
  await kv.revert('k', versions[6] as string);
  expect(await client(ports, { position: kv.position }).get('k')).toBe('3');
});
