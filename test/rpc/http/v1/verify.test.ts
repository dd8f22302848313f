/** Whether all nodes hold the same: how their words are compared, and who is asked. */
import { afterEach, describe, expect, test } from 'vitest';
import { compare, type Word } from '../../../../rpc/http/v1/compare.ts';
import { createMemoryKeyValue } from '../../memory-key-value.ts';
import type { Running } from '../start-server.ts';
import { ask, startV1 } from './start-v1.ts';

const hashOf = (letter: string): string => letter.repeat(64);
const saying = (address: string, ...hashes: (string | null)[]): Word => ({
  address,
  digests: hashes.map((hash, i) => ({ position: `${i}:9`, entries: hash === null ? null : 5, hash: hash === null ? null : hashOf(hash) })),
});

describe('words compared', () => {
  test.each<[string, Word[], string[], (string | null)[]]>([
    ['all the same', [saying('a', 'e', 'f'), saying('b', 'e', 'f')], ['agrees', 'agrees'], ['e', 'f']],
    ['one of three differs', [saying('a', 'e'), saying('b', 'd'), saying('c', 'e')], ['agrees', 'differs 0', 'agrees'], ['e']],
    ['as many one way as another: both', [saying('a', 'e', 'f'), saying('b', 'd', 'f')], ['differs 0', 'differs 0'], [null, 'f']],
    ['in doubt', [saying('a', 'e'), saying('b', null)], ['agrees', 'unsure 0'], ['e']],
    [
      'silent, and half silent',
      [saying('a', 'e', 'f'), { address: 'b', digests: undefined }, saying('c', 'e')],
      ['agrees', 'silent 0,1', 'silent 1'],
      ['e', 'f'],
    ],
    ['nobody knows', [saying('a', null)], ['unsure 0'], [null]],
  ])('%s', (_, words, nodes, hashes) => {
    const positions = hashes.map((_hash, i) => `${i}:9`);
    const verified = compare('run', positions, words);
    expect(verified.nodes.map(({ result, partitions }) => `${result} ${partitions}`.trim())).toEqual(nodes);
    expect(verified.partitions.map(({ hash }) => hash)).toEqual(hashes.map((hash) => (hash === null ? null : hashOf(hash))));
    expect(verified.agree).toBe(nodes.every((each) => each === 'agrees'));
  });
});

describe('over HTTP', () => {
  let running: Running;
  afterEach(() => running.stop());

  test('the others are asked until they have come to the marks; who differs is named', async () => {
    const keyValue = createMemoryKeyValue();
    const position = { partition: 0, offset: 9 } as never;
    keyValue.digested = [{ position, digest: { entries: 5, hash: hashOf('e') } }];
    const asked: string[] = [];
    const word = (hash: string | null, digests = true) => ({
      run: keyValue.run,
      node: 'x',
      digests: digests ? [{ position: '0:9', entries: hash === null ? null : 5, hash }] : [],
    });
    running = await startV1({}, 5_000, keyValue, {
      members: () => ['same:1', 'other:1', 'late:1', 'dead:1'].map((address) => ({ address, socket: '' })),
      askMember: async (address, _signal, path) => {
        asked.push(`${address}${path}`);
        if (address === 'dead:1') throw new Error('nobody there');
        if (address === 'late:1') return word(hashOf('e'), asked.filter((each) => each.startsWith('late')).length > 2);
        return word(hashOf(address === 'same:1' ? 'e' : 'd'));
      },
    });
    const answer = await ask(running.port, '/v1/verify?wait=1s', { method: 'POST' });
    expect(answer.status).toBe(200);
    expect(answer.json()).toMatchObject({
      agree: false,
      nodes: [
        { result: 'agrees' },
        { result: 'agrees' },
        { result: 'differs', partitions: [0] },
        { result: 'agrees' },
        { result: 'silent' },
      ],
    });
    expect(asked).toContain(`same:1/v1/verify/${keyValue.run}`);
  });

  test('pages of other sites may not ask, and nobody sends a body', async () => {
    running = await startV1({}, 5_000, createMemoryKeyValue());
    for (const path of ['/v1/verify', '/v1/node/resync']) {
      expect((await ask(running.port, path, { method: 'POST', headers: { origin: 'http://evil.example' } })).status).toBe(400);
      expect((await ask(running.port, path, { method: 'POST', body: 'x' })).status).toBe(400);
      expect((await ask(running.port, path, { method: 'DELETE' })).status).toBe(405);
    }
    expect(running.keyValue.resyncs).toBe(0);
    expect((await ask(running.port, '/v1/node/resync', { method: 'POST' })).status).toBe(202);
    expect(running.keyValue.resyncs).toBe(1);
  });
});
