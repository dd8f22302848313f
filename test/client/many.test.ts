/** Many at once: in order, in chunks that servers take, each with its own result. */
import { describe, expect, test } from 'vitest';
import { BitacoraError } from '../../src/core/errors.ts';
import { answerBranch, failureBranch, writtenBranch } from '../../wire/avro/messages.ts';
import { FakeLog, Replica } from './fake-log.ts';
import { type FakeServer, failureOf, never } from './fake-server.ts';
import { clientOf, startServer, startServers } from './setting.ts';

const keys = (count: number) => Array.from({ length: count }, (_, index) => `k${index}`);
const sizes = (server: FakeServer, message: 'getMany' | 'setMany') =>
  server.calls
    .filter((call) => call.message === message)
    .map(({ request }) => (request as { keys?: []; puts?: [] }).keys?.length ?? (request as { puts: [] }).puts.length)
    .sort((a, b) => b - a);
const failure = (code: 'log-unavailable' | 'value-too-large' | 'overloaded' | 'position-not-reached') => ({
  [failureBranch]: failureOf(new BitacoraError(code, 'no')),
});

describe('setMany and getMany', () => {
  test('results are in the order of what was asked, with what is absent, and the session sees them', async () => {
    const log = new FakeLog();
    const servers = await Promise.all([0, 1].map(() => startServer({ replica: new Replica(log, () => new Promise(setImmediate)) })));
    const client = await clientOf(servers);
    const entries = [
      { key: 'a', value: '1', ttlMs: 60_000, contentType: 'x/y' },
      ['b', Buffer.from([255])] as const,
      ...new Map([['c', '3']]),
    ];
    const written = await client.setMany(entries);
    expect(written.map(({ key, error }) => [key, error])).toEqual([
      ['a', undefined],
      ['b', undefined],
      ['c', undefined],
    ]);
    const found = await client.getMany(['c', 'nothing', 'b', 'a', 'c']);
    expect(found.map((result) => [result.key, result.found?.text()])).toEqual([
      ['c', '3'],
      ['nothing', undefined],
      ['b', '\ufffd'],
      ['a', '1'],
      ['c', '3'],
    ]);
    expect(found[3]?.found).toMatchObject({ contentType: 'x/y', expires: expect.any(Date), version: written[0]?.written?.version });
    for (const { found: record } of found) if (record) expect(record.source).toBe('local');
  });

  test('nothing is nothing', async () => {
    const server = await startServer();
    const client = await clientOf([server]);
    expect(await client.getMany([])).toEqual([]);
    expect(await client.setMany([])).toEqual([]);
    expect(server.calls).toHaveLength(1);
  });

  test('a thousand in a call, at most', async () => {
    const server = await startServer();
    const client = await clientOf([server]);
    const all = keys(2_500);
    await client.setMany(all.map((key) => ({ key, value: key })));
    const found = await client.getMany(all);
    expect(found.map((result) => result.found?.text())).toEqual(all);
    expect(sizes(server, 'setMany')).toEqual([1_000, 1_000, 500]);
    expect(sizes(server, 'getMany')).toEqual([1_000, 1_000, 500]);
  });

  test('and no more than a frame of the server holds; what fits none is told', async () => {
    const server = await startServer({ node: { maxFrameBytes: 20_000 } });
    const client = await clientOf([server]);
    const values = [9_000, 9_000, 9_000, 20_001, 100].map((length, index) => ({ key: `k${index}`, value: Buffer.alloc(length) }));
    const results = await client.setMany(values);
    expect(results.map(({ error }) => error?.code)).toEqual([undefined, undefined, undefined, 'value-too-large', undefined]);
    expect(sizes(server, 'setMany')).toEqual([2, 2]);
    await client.getMany(keys(100));
    // A server keeps 500 bytes for each answer.
    expect(Math.max(...sizes(server, 'getMany'))).toBeLessThanOrEqual(39);
  });

  test('an item that cannot be sent does not stop the others; a key given twice stops all', async () => {
    const server = await startServer();
    const client = await clientOf([server]);
    const results = await client.setMany([
      ['a', '1'],
      ['', '2'],
      ['b', '\ud800'],
      ['c', '3'],
    ]);
    expect(results.map(({ error }) => error?.code)).toEqual([undefined, 'key-invalid', 'bad-request', undefined]);
    const found = await client.getMany(['a', '\0', 'c']);
    expect(found.map((result) => result.found?.text() ?? result.error?.code)).toEqual(['1', 'key-invalid', '3']);
    const twice = client.setMany([
      ['a', '1'],
      ['a', '2'],
    ]);
    await expect(twice).rejects.toMatchObject({ code: 'bad-request' });
    expect(server.count('setMany')).toBe(1);
  });
});

describe('items that fail', () => {
  test('those that certainly did not happen are sent again, the others are told', async () => {
    const servers = await startServers(2);
    const client = await clientOf(servers);
    let first = true;
    for (const server of servers) {
      server.answers.setMany = ({ puts }) =>
        puts.map(({ key }) => {
          if (key === 'large') return failure('value-too-large');
          if (key === 'unlucky' && first) {
            first = false;
            return failure('log-unavailable');
          }
          return { [writtenBranch]: { position: { partition: 0, offset: 1 }, uuid: key, genesis: 'g' } };
        });
    }
    const results = await client.setMany([
      ['a', '1'],
      ['large', '1'],
      ['unlucky', '1'],
    ]);
    expect(results.map(({ written, error }) => written?.id ?? error?.code)).toEqual(['a', 'value-too-large', 'unlucky']);
    // The other server was asked for the one alone.
    expect(servers.map((server) => sizes(server, 'setMany')).sort()).toEqual([[1], [3]]);
  });

  test('a full answer: the rest is asked for until all is there', async () => {
    const server = await startServer();
    const client = await clientOf([server]);
    server.answers.getMany = ({ keys: asked }) =>
      asked.map((key, index) => {
        if (index >= 3) return failure('overloaded');
        const found = { value: Buffer.from(key), contentType: '', version: null, timestamp: 0, expires: 0, uuid: '' };
        return { [answerBranch]: { found, source: 1, applied: { partition: 0, offset: 0 }, genesis: 'g' } };
      });
    const found = await client.getMany(keys(40));
    expect(found.map((result) => result.found?.text())).toEqual(keys(40));
    expect(server.count('getMany')).toBe(14);
  });

  test('what never succeeds is told after as many rounds as there are attempts', async () => {
    const server = await startServer();
    const client = await clientOf([server], { attempts: 3 });
    server.answers.getMany = ({ keys: asked }) => asked.map(() => failure('position-not-reached'));
    expect(await client.getMany(['a'])).toMatchObject([{ key: 'a', error: { code: 'position-not-reached', retryable: true } }]);
    expect(server.count('getMany')).toBe(3);
  });

  test('a call that is refused as a whole was repeated already', async () => {
    const server = await startServer();
    const client = await clientOf([server], { attempts: 2 });
    server.answers.getMany = () => {
      throw new BitacoraError('store-failed', 'mending');
    };
    expect(await client.getMany(['a', 'b'])).toMatchObject([{ error: { code: 'store-failed' } }, { error: { code: 'store-failed' } }]);
    expect(server.count('getMany')).toBe(2);
  });

  test('a call that is lost makes its writes unknown, and no others', async () => {
    const server = await startServer();
    const client = await clientOf([server]);
    server.answers.setMany = ({ puts }) => {
      if (puts.some(({ key }) => key === 'k1500')) return never;
      return puts.map(({ key }) => ({ [writtenBranch]: { position: { partition: 0, offset: 1 }, uuid: key, genesis: 'g' } }));
    };
    const results = await client.setMany(
      keys(2_500).map((key) => [key, 'x'] as const),
      { timeoutMs: 300 },
    );
    const unknown = results.filter(({ error }) => error?.code === 'unknown-outcome').map(({ key }) => key);
    expect(unknown).toEqual(keys(2_000).slice(1_000));
    expect(results.filter(({ written }) => written !== undefined)).toHaveLength(1_500);
  });

  test('another number of results than items is no answer', async () => {
    const server = await startServer();
    const client = await clientOf([server], { attempts: 2 });
    server.answers.setMany = () => [];
    server.answers.getMany = () => [];
    expect(await client.setMany([['a', '1']])).toMatchObject([{ error: { code: 'unknown-outcome', retryable: false } }]);
    expect(await client.getMany(['a'])).toMatchObject([{ error: { code: 'internal' } }]);
  });

  test('the log is another one: the whole read is told, once', async () => {
    const server = await startServer();
    const client = await clientOf([server]);
    client.observe('of-another@0:5,1:5,2:5,3:5');
    await expect(client.getMany(['a', 'b'])).rejects.toMatchObject({ code: 'position-foreign', retryable: false });
    expect(await client.getMany(['a'])).toEqual([{ key: 'a', found: undefined }]);
  });
});
