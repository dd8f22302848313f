/** A session sees its own writes on every server, however far these are behind. */
import { setTimeout as pause } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { FakeLog, Replica } from './fake-log.ts';
import { clientOf, connected, gate, startServer, until } from './setting.ts';

/** Three servers; each applies a record up to so many milliseconds after it was logged. */
async function laggingServers(log: FakeLog, maxDelayMs: number) {
  const delay = () => pause(Math.random() * maxDelayMs);
  return Promise.all([0, 1, 2].map(() => startServer({ replica: new Replica(log, delay), positionWaitMs: 1_000 })));
}

test('set, then get, over three servers: never stale, and all of them answer', async () => {
  const log = new FakeLog();
  const servers = await laggingServers(log, 3);
  const client = await clientOf(servers);
  for (let round = 0; round < 300; round++) {
    await client.set(`k${round % 10}`, `v${round}`);
    expect(await client.get(`k${round % 10}`)).toBe(`v${round}`);
  }
  for (const server of servers) expect(server.count('getRecord')).toBeGreaterThan(30);
});

test('many writers and readers of one session: no read is older than the write before it', async () => {
  const log = new FakeLog();
  const client = await clientOf(await laggingServers(log, 3));
  await Promise.all(
    Array.from({ length: 20 }, async (_, worker) => {
      for (let round = 0; round < 20; round++) {
        await client.set(`k${worker}`, `${round}`);
        expect(await client.get(`k${worker}`)).toBe(`${round}`);
      }
    }),
  );
});

test('a delete is seen as well, and so is an absence that was seen once', async () => {
  const log = new FakeLog();
  const client = await clientOf(await laggingServers(log, 3));
  for (let round = 0; round < 50; round++) {
    await client.set('a', `${round}`);
    await client.delete('a');
    expect(await client.get('a')).toBeUndefined();
  }
});

test('a value once read does not go away again on a server that is behind', async () => {
  const log = new FakeLog();
  const held = gate();
  const [ahead, behind] = [
    await startServer({ replica: new Replica(log) }),
    await startServer({ replica: new Replica(log, () => held.opened), positionWaitMs: 20 }),
  ];
  const client = await clientOf([ahead, behind]);
  log.append('a', Buffer.from('1'));
  await until('it was read from the server ahead', async () => (await client.get('a')) === '1');
  for (let round = 0; round < 20; round++) expect(await client.get('a')).toBe('1');
  expect(behind.count('getRecord')).toBeGreaterThan(0);
  held.open();
});

test('only the position of the key’s partition is sent, and none for a partition that was not seen', async () => {
  const log = new FakeLog('g', 4);
  const server = await startServer({ replica: new Replica(log) });
  const client = await clientOf([server]);
  const keys = Array.from({ length: 20 }, (_, index) => `k${index}`);
  const [a, b] = [keys[0] as string, keys.find((key) => log.partitionOf(key) !== log.partitionOf(keys[0] as string)) as string];
  const untouched = keys.find((key) => ![a, b].some((other) => log.partitionOf(key) === log.partitionOf(other))) as string;
  await client.set(a, '1');
  await client.set(b, '1');
  await client.get(a);
  await client.get(untouched);
  const [first, second] = server.calls.filter(({ message }) => message === 'getRecord').map(({ request }) => request);
  expect(first).toEqual({ key: a, seen: { genesis: 'g', positions: [{ partition: log.partitionOf(a), offset: 0 }] } });
  expect(second).toEqual({ key: untouched, seen: { genesis: 'g', positions: [] } });
});

test('the position goes from one client to another, at the start and later', async () => {
  const log = new FakeLog();
  const held = gate();
  const [ahead, behind] = [
    await startServer({ replica: new Replica(log) }),
    await startServer({ replica: new Replica(log, () => held.opened), positionWaitMs: 10_000 }),
  ];
  const writer = await clientOf([ahead]);
  expect(writer.position).toBe('');
  const { version } = await writer.set('a', '1');
  expect(writer.position).toBe(`log-1@${version}`);
  const [reader, other] = [await clientOf([behind], { position: writer.position }), await clientOf([behind])];
  other.observe(writer.position);
  let answered = 0;
  const reads = [reader, other].map(async (client) => {
    expect(await client.get('a')).toBe('1');
    answered++;
  });
  await until('both were asked', () => behind.count('getRecord') === 2);
  expect(answered).toBe(0);
  held.open();
  await Promise.all(reads);
});

test('what is no position is refused', async () => {
  const server = await startServer();
  const client = await clientOf([server]);
  for (const wrong of ['x', '@', 'g@1', 'g@1:2,', 'g@1:2,x', '%@0:1', 'g@0:99999999999999999', `g@${'0:1,'.repeat(20_000)}0:1`]) {
    expect(() => client.observe(wrong), wrong).toThrow(expect.objectContaining({ code: 'bad-request' }));
  }
  await expect(connected({ servers: [server.address], position: 'x' })).rejects.toMatchObject({ code: 'bad-request' });
  client.observe('g%40h@');
  expect(client.position).toBe('g%40h@');
  expect(() => client.observe('other@0:1')).toThrow(expect.objectContaining({ code: 'position-foreign' }));
});

test('a server that answers from before what was seen is not believed', async () => {
  const log = new FakeLog();
  const [honest, lying] = [await startServer({ replica: new Replica(log) }), await startServer({ replica: new Replica(log) })];
  const client = await clientOf([honest, lying]);
  await client.set('a', '1');
  lying.answers.getRecord = () => ({ found: null, source: 1, applied: { partition: log.partitionOf('a'), offset: 0 }, genesis: 'log-1' });
  for (let round = 0; round < 20; round++) expect(await client.get('a')).toBe('1');
  expect(lying.count('getRecord')).toBeGreaterThan(0);
});
