/** `/v1/node` and `/v1/cluster`: what nodes say of themselves, and who does not answer. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { askMember } from '../../../../rpc/http/v1/ask-member.ts';
import type { Offset, Partition } from '../../../../src/ports.ts';
import { createMemoryKeyValue } from '../../memory-key-value.ts';
import type { Running } from '../start-server.ts';
import { ask, genesis, startV1 } from './start-v1.ts';

const stops: (() => Promise<unknown> | unknown)[] = [];
let addresses: string[];
let asked: string[];
let running: Running;
beforeEach(async () => {
  addresses = [];
  asked = [];
  running = await startV1({}, 5_000, createMemoryKeyValue(2), {
    members: () => addresses.map((address) => ({ address, socket: '' })),
    askMember: (address, signal) => {
      asked.push(address);
      return askMember(address, signal);
    },
  });
  stops.push(() => running.stop());
});
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

interface Member {
  readonly address: string;
  readonly reachable: boolean;
  readonly reason?: string;
  readonly status?: { readonly node: string; readonly state: string };
}
const cluster = async () => (await ask(running.port, '/v1/cluster')).json()['nodes'] as Member[];

describe('/v1/node', () => {
  test('tells state, limits and position', async () => {
    await running.keyValue.put('a', Buffer.from('x'));
    running.keyValue.statusChange = {
      genesis,
      applied: [7, 0] as Offset[],
      lagMs: 1.6,
      state: 'restoring',
      ready: false,
      progress: 0.99999,
    };
    const partition = 1 as Partition;
    running.keyValue.skipped = Array.from({ length: 25 }, (_, i) => ({
      position: { partition, offset: i as Offset },
      key: `k${i}`,
      reason: 'bad-header',
    }));
    expect((await ask(running.port, '/v1/node')).json()).toEqual({
      node: 'n1',
      version: '1.2.3',
      state: 'restoring',
      reason: null,
      ready: false,
      writable: true,
      sealed: false,
      stale: false,
      progress: 0.999,
      applied: '0:6@8f14e45f',
      lag_ms: 2,
      log: 'connected',
      genesis,
      partitions: 2,
      entries: 1,
      skipped: { count: 25, newest: expect.arrayContaining([{ position: '1:24', key: 'k24', reason: 'bad-header' }]) },
      limits: { value_bytes: 100_000, header_bytes: 8_192, batch_operations: 1_000, batch_bytes: 8_388_608, list_items: 1_000 },
      supports: expect.arrayContaining(['conditions', 'list', 'batch']),
    });
  });

  test('before the log is known', async () => {
    running.keyValue.statusChange = { genesis: undefined, applied: [], state: 'starting' };
    expect((await ask(running.port, '/v1/node')).json()).toMatchObject({ applied: '', genesis: null, partitions: 0, state: 'starting' });
  });
});

describe('/v1/cluster', () => {
  const strange = async (answer: (server: Server) => void): Promise<string> => {
    const server = createServer();
    answer(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    stops.push(() => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    });
    return `127.0.0.1:${(server.address() as AddressInfo).port}`;
  };

  test('alone', async () => {
    expect(await cluster()).toEqual([{ address: 'n1', reachable: true, status: expect.objectContaining({ node: 'n1' }) }]);
  });

  test('others by their own word, the unreachable as such, within the budget', async () => {
    const other = await startV1();
    stops.push(() => other.stop());
    addresses = [
      `127.0.0.1:${other.port}`,
      await strange(() => undefined),
      await strange((server) => server.on('request', (_request, response) => response.end('{"node":"x"}'))),
      await strange((server) => server.on('request', (_request, response) => response.end('no json'))),
      await strange((server) => server.on('request', (_request, response) => response.writeHead(500).end())),
      await strange((server) => server.on('request', (_request, response) => response.end('x'.repeat(100_000)))),
      await strange((server) => server.on('connection', (socket) => socket.destroy())),
      '127.0.0.1:1',
      'no address',
    ];
    const started = performance.now();
    const nodes = await cluster();
    expect(performance.now() - started).toBeLessThan(1_500);
    expect(nodes.map(({ reachable }) => reachable)).toEqual([true, true, ...Array.from({ length: 8 }, () => false)]);
    expect(nodes.slice(1).map(({ address }) => address)).toEqual(addresses);
    expect(nodes[1]?.status).toMatchObject({ node: 'n1', state: 'ready' });
    expect(nodes.slice(2).map(({ reason }) => reason)).toEqual([
      'no answer within 500 ms',
      'its answer is not that of a node',
      'its answer is no JSON',
      'it answered 500',
      'its answer is over 65536 bytes',
      'ECONNRESET',
      'ECONNREFUSED',
      'ERR_INVALID_URL',
    ]);
  });

  test('asks each node once, however many want to know', async () => {
    addresses = [await strange(() => undefined)];
    const replies = await Promise.all(Array.from({ length: 20 }, () => cluster()));
    expect(asked).toHaveLength(1);
    for (const nodes of replies) expect(nodes[1]?.reachable).toBe(false);
    await cluster();
    expect(asked).toHaveLength(2);
  });

  test('has a bound', async () => {
    addresses = Array.from({ length: 300 }, () => '127.0.0.1:1');
    const nodes = await cluster();
    expect(nodes).toHaveLength(301);
    expect(asked).toHaveLength(256);
    expect(nodes[300]?.reason).toContain('not asked');
  });
});
