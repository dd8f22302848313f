/** What a session has seen goes along with every request, so that no node may answer with less. */
import { describe, expect, test } from 'vitest';
import { behind, client, failureOf, fake, node, say, well } from './setting.ts';

const log = '8f14e45f';

describe('over several nodes', () => {
  test('what was written is read, though most nodes are behind', async () => {
    const ahead = await node();
    const slow = [await node(behind(ahead.keyValue)), await node(behind(ahead.keyValue))];
    const kv = client([ahead.port, ...slow.map(({ port }) => port)]);
    for (let number = 0; number < 30; number++) {
      const key = `k${number % 7}`;
      await kv.put(key, String(number));
      expect(await kv.get(key)).toBe(String(number));
      expect((await kv.getRecord(key))?.text()).toBe(String(number));
    }
  });

  test('what was read does not go back', async () => {
    const ahead = await node();
    const slow = await node(behind(ahead.keyValue));
    await client([ahead.port]).put('k', 'new');
    const reader = client([slow.port, ahead.port]);
    const read: (string | undefined)[] = [];
    for (let number = 0; number < 40; number++) read.push(await reader.get('k'));
    expect(read.slice(read.indexOf('new'))).not.toContain(undefined);
    expect(read).toContain('new');
  });

  test('local asks for nothing, so that a node may answer with what it has', async () => {
    const ahead = await node();
    const slow = await node(behind(ahead.keyValue));
    const kv = client([ahead.port]);
    await kv.put('k', 'new');
    const there = client([slow.port], { position: kv.position, attempts: 1 });
    expect(await there.get('k', { consistency: 'local' })).toBeUndefined();
    expect(await failureOf(there.get('k'))).toMatchObject({ code: 'position-not-reached', retryable: true, retryAfterMs: 1_000 });
    // An older answer does not take back what was seen.
    expect(there.position).toBe(kv.position);
  });

  test('the position goes on elsewhere', async () => {
    const ahead = await node();
    const slow = await node(behind(ahead.keyValue));
    const writer = client([ahead.port]);
    for (const key of ['a', 'b', 'c', 'd', 'e']) await writer.put(key, 'v');
    expect(writer.position).toMatch(/^0:\d+,1:\d+.*@8f14e45f$/);
    for (const open of [() => client([slow.port, ahead.port], { position: writer.position }), () => observing(writer.position)]) {
      const reader = open();
      for (const key of ['a', 'b', 'c', 'd', 'e']) expect(await reader.get(key)).toBe('v');
    }
    function observing(position: string) {
      const kv = client([slow.port, ahead.port]);
      kv.observe(position);
      return kv;
    }
  });

  test('each call that is about keys brings it along and moves it on', async () => {
    const { port, keyValue } = await node();
    const kv = client([port]);
    const seen = () => keyValue.reads.at(-1)?.seen?.positions;
    await kv.put('k', 'v');
    const version = (await kv.getRecord('k'))?.version;
    expect(seen()?.map(({ partition, offset }) => `${partition}:${offset}`)).toEqual([version]);
    for (const call of [() => kv.list().next(), () => kv.count(), () => kv.batch([{ op: 'get', key: 'k' }]), () => kv.get('k')]) {
      await keyValue.put('k', Buffer.from('other'));
      keyValue.reads.length = 0;
      await call();
      expect(keyValue.reads.some((read) => read.seen !== undefined)).toBe(true);
    }
    expect(kv.position).toBe(`${version?.split(':')[0]}:4@${log}`);
    await kv.del('k');
    expect(kv.position).toBe(`${version?.split(':')[0]}:5@${log}`);
    await failureOf(kv.cas('k', '0:1', 'v'));
  });

  test.each(['latest', 'linearizable'] as const)('%s', async (consistency) => {
    const { port, keyValue } = await node();
    const kv = client([port]);
    await kv.get('k', { consistency });
    await kv.getRecord('k', { consistency });
    await kv.list({ consistency }).next();
    await kv.batch([{ op: 'get', key: 'k' }], { consistency });
    expect(keyValue.reads.map((read) => read.consistency)).toEqual(new Array(4).fill(consistency));
  });
});

describe('separate sessions', () => {
  test('do not know of one another, and share the connections', async () => {
    const { port } = await node();
    const kv = client([port]);
    const [one, other] = [kv.session(), kv.session()];
    await one.put('k', 'v');
    expect([kv.position, other.position]).toEqual(['', '']);
    const third = kv.session(one.position);
    expect(third.position).toBe(one.position);
    await kv.close();
    expect((await failureOf(one.get('k'))).code).toBe('closed');
  });

  test('merge by partition, whatever order the answers come in', async () => {
    const positions = ['0:5,1:1@aaaaaaaa', '0:3,1:9@aaaaaaaa', '2:0@aaaaaaaa'];
    const { port, requests } = await fake((_, response, number) =>
      say(response, 200, 'v', { 'Bitacora-Position': positions[number - 1] ?? '' }),
    );
    const kv = client([port]);
    for (const _ of positions) await kv.get('k');
    expect(kv.position).toBe('0:5,1:9,2:0@aaaaaaaa');
    expect(requests.map(({ headers }) => headers['bitacora-min-position'])).toEqual([undefined, '0:5,1:1@aaaaaaaa', '0:5,1:9@aaaaaaaa']);
  });
});

describe('another log', () => {
  test('a node that refuses the position: told once, then a new session', async () => {
    const { port } = await node();
    const kv = client([port], { position: '0:7@00000000' });
    expect(await failureOf(kv.get('k'))).toMatchObject({ code: 'position-foreign', retryable: false });
    expect(kv.position).toBe('');
    await kv.put('k', 'v');
    expect(kv.position).toMatch(/@8f14e45f$/);
    expect(await kv.get('k')).toBe('v');
  });

  test('a write is refused as well, and has no effect', async () => {
    const { port, keyValue } = await node();
    const kv = client([port], { position: '0:7@00000000' });
    expect((await failureOf(kv.put('k', 'v'))).code).toBe('position-foreign');
    expect(keyValue.written).toEqual([]);
    await kv.put('k', 'v');
  });

  test('an answer of another log to a read is not taken; after a write the next read tells', async () => {
    const { port } = await fake((request, response, number) => {
      response.setHeader('Bitacora-Position', number <= 2 ? '0:1@aaaaaaaa' : '0:1@bbbbbbbb');
      well(request, response, number);
    });
    const kv = client([port]);
    await kv.get('k', { consistency: 'local' });
    const other = kv.session();
    await other.get('k');
    expect((await failureOf(kv.get('k'))).code).toBe('position-foreign');
    expect(await kv.get('k')).toBe('fake value');
    expect(await other.put('k', 'v')).toMatchObject({ version: '0:1' });
    expect((await failureOf(other.get('k'))).code).toBe('position-foreign');
    expect(await other.get('k')).toBe('fake value');
    expect(other.position).toBe('0:1@bbbbbbbb');
  });

  test('an answer that was asked for before everything was forgotten changes nothing', async () => {
    let answer = (): void => undefined;
    const { port } = await fake((request, response, number) => {
      if (number > 1) {
        response.setHeader('Bitacora-Position', number === 2 ? '0:1@aaaaaaaa' : '0:2@bbbbbbbb');
        well(request, response, number);
      } else {
        answer = () => say(response, 200, 'old', { 'Bitacora-Position': '0:99@aaaaaaaa' });
      }
    });
    const kv = client([port]);
    const slow = kv.get('slow');
    await kv.get('k');
    await failureOf(kv.get('k'));
    answer();
    await slow;
    expect(kv.position).toBe('0:2@bbbbbbbb');
  });

  test.each(['x', '0:1,', '0:1@zz'])('%j is no position', (position) => {
    expect(() => client(['n1:1']).observe(position)).toThrow(expect.objectContaining({ code: 'bad-request' }));
  });

  test('a position of another log is not taken over', () => {
    const kv = client(['n1:1'], { position: '0:1@aaaaaaaa' });
    expect(() => kv.observe('0:1@bbbbbbbb')).toThrow(expect.objectContaining({ code: 'position-foreign' }));
    kv.observe('0:2');
    expect(kv.position).toBe('0:2@aaaaaaaa');
  });
});
