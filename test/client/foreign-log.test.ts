/** The log turns out to be another one: the session forgets, and its user is told once. */
import { expect, test } from 'vitest';
import { BitacoraError } from '../../src/core/errors.ts';
import { FakeLog, Replica } from './fake-log.ts';
import type { FakeServer } from './fake-server.ts';
import { clientOf, startServer, until } from './setting.ts';

/** A client that has seen a log, and a server in the old one's place that has another. */
async function afterTheLogWasMadeAnew() {
  const before = new FakeLog('before');
  const old = await startServer({ replica: new Replica(before) });
  const after = new FakeLog('after');
  const fresh = await startServer({ replica: new Replica(after) });
  const client = await clientOf([old]);
  await client.set('a', '1');
  // The same server, with the other log in it.
  Object.assign(old.answers, answersBy(fresh));
  return { client, server: old, before, after };
}

function answersBy(other: FakeServer): FakeServer['answers'] {
  const { log } = other.replica;
  const at = (key: string) => ({ partition: log.partitionOf(key), offset: other.replica.applied[log.partitionOf(key)] as number });
  return {
    getRecord: ({ key, seen }) => {
      if (seen.positions.length > 0 && seen.genesis !== log.genesis) throw foreign();
      const record = other.replica.get(key);
      const found =
        record?.value === undefined
          ? null
          : { value: record.value, contentType: '', version: { ...record }, timestamp: 1, expires: 0, uuid: '' };
      return { found, source: 1, applied: at(key), genesis: log.genesis };
    },
    setRecord: ({ put }) => {
      const { partition, offset, uuid } = log.append(put.key, put.value);
      return { position: { partition, offset }, uuid, genesis: log.genesis };
    },
  };
}

const foreign = () => new BitacoraError('position-foreign', 'the position is of another log');
const isForeign = { code: 'position-foreign', retryable: false };

test('a read is refused: told once, and the next reads begin a new session', async () => {
  const { client, after } = await afterTheLogWasMadeAnew();
  await expect(client.get('a')).rejects.toMatchObject(isForeign);
  expect(client.position).toBe('');
  expect(await client.get('a')).toBeUndefined();
  after.append('a', Buffer.from('2'));
  expect(await client.get('a')).toBe('2');
  expect(client.position).toMatch(/^after@/);
});

test('many reads at once are refused: one is told, the others are asked again', async () => {
  const { client } = await afterTheLogWasMadeAnew();
  const results = await Promise.allSettled(Array.from({ length: 30 }, () => client.get('a')));
  const failures = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
  expect(failures).toHaveLength(1);
  expect(failures[0]).toMatchObject(isForeign);
});

test('an answer of another log to a read that had seen nothing of its partition: told as well', async () => {
  const { client, before } = await afterTheLogWasMadeAnew();
  const other = Array.from({ length: 20 }, (_, index) => `k${index}`).find((key) => before.partitionOf(key) !== before.partitionOf('a'));
  await expect(client.get(other as string)).rejects.toMatchObject(isForeign);
  expect(await client.get('a')).toBeUndefined();
});

test('a write into another log has succeeded: the next read is told, and the one after sees the write', async () => {
  const { client } = await afterTheLogWasMadeAnew();
  const { version } = await client.set('a', '2');
  expect(client.position).toBe(`after@${version}`);
  await expect(client.get('a')).rejects.toMatchObject(isForeign);
  expect(await client.get('a')).toBe('2');
});

test('a late answer of the old log does not take the session back to it', async () => {
  const { client, server, before } = await afterTheLogWasMadeAnew();
  const tellNow = server.answers.getRecord as NonNullable<(typeof server.answers)['getRecord']>;
  let release = (): void => undefined;
  server.answers.getRecord = (request) => {
    server.answers.getRecord = tellNow;
    return new Promise((resolve) => {
      release = () =>
        resolve({ found: null, source: 1, applied: { partition: before.partitionOf(request.key), offset: 9 }, genesis: 'before' });
    });
  };
  const late = client.get('a');
  await until('it is under way', () => server.count('getRecord') === 1);
  await expect(client.get('a')).rejects.toMatchObject(isForeign);
  await client.set('a', '2');
  expect(await client.get('a')).toBe('2');
  release();
  expect(await late).toBe('2');
  expect(client.position).toMatch(/^after@/);
});

test('a node that does not know its log yet moves nothing', async () => {
  const server = await startServer({ node: { genesis: '' } });
  const client = await clientOf([server]);
  server.answers.getRecord = () => ({ found: null, source: 1, applied: { partition: 0, offset: 7 }, genesis: '' });
  for (const key of ['a', 'b', 'c', 'd', 'e']) expect(await client.get(key)).toBeUndefined();
  expect(client.position).toBe('');
  for (const { request } of server.calls.slice(1)) expect(request).toMatchObject({ seen: { genesis: '', positions: [] } });
});
