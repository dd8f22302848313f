/** SIGTERM under load: a node goes without a failed acknowledged write and without cutting a request that was begun. */
import { Agent } from 'node:http';
import { afterEach, expect, inject, test } from 'vitest';
import { type Answer, call, put, valueAt } from './calls.ts';
import { cleanUp } from './clean-up.ts';
import { clusterSettings, settled, startNodes } from './cluster.ts';
import { Ledger } from './ledger.ts';
import { type NodeProcess, newPlace, startNode } from './node-process.ts';
import { until } from './until.ts';
import { openEyes } from './zookeeper-eyes.ts';

afterEach(cleanUp);

test('not ready first, then the door, and every request that was begun has its answer', async () => {
  const settings = clusterSettings(inject('brokers'), inject('zookeeperHosts'));
  const [stays] = (await startNodes(1, settings)) as [NodeProcess];
  const goes = startNode(await newPlace(), { ...settings, BITACORA_DRAIN_DELAY: '1500' });
  await goes.ready();
  const path = `${settings.BITACORA_ZOOKEEPER_ROOT}/servers/${goes.address}`;
  const eyes = await openEyes(inject('zookeeperHosts'));
  await until('it is registered', async () => (await eyes.owner(path)) !== undefined);

  const ledger = new Ledger();
  const failures: string[] = [];
  let doneAfterSignal = 0;
  let signalled = false;
  // A caller keeps one connection, as a balancer's worker does, and leaves when it is told that the connection closes.
  const caller = async (name: string): Promise<void> => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    for (let i = 0; ; i++) {
      const answer: Answer | string = await put(goes, `${name}-${i}`, `${i}`, { agent }).catch((error: Error) => error.message);
      if (typeof answer === 'string') {
        failures.push(answer);
        break;
      }
      if (answer.status !== 200) failures.push(`${answer.status} ${answer.body}`);
      ledger.note(`${name}-${i}`, `${i}`, answer.status === 200 ? 'done' : 'unknown');
      if (signalled && answer.status === 200) doneAfterSignal++;
      if (answer.headers.connection === 'close') break;
    }
    agent.destroy();
  };
  const callers = Array.from({ length: 24 }, (_, i) => caller(`caller-${i}`));
  await until('a load', () => ledger.counts.done > 300);
  goes.signal('SIGTERM');
  signalled = true;
  await until('not ready', async () => (await call(goes.url, 'GET', '/readyz')).status === 503);
  expect((await goes.said('node.draining'))['signal']).toBe('SIGTERM');
  await until('out of ZooKeeper', async () => (await eyes.owner(path)) === undefined);
  // All the same it still takes what comes, until the balancer has noticed.
  expect((await put(goes, 'while leaving', 'x')).status).toBe(200);
  expect(await goes.exit).toEqual({ code: 0, signal: null });
  await Promise.all(callers);
  expect(failures).toEqual([]);
  expect(doneAfterSignal).toBeGreaterThan(24);
  expect(goes.errors()).toBe('');
  await expect(put(goes, 'too late', 'x')).rejects.toMatchObject({ code: 'ECONNREFUSED' });

  await settled(inject('brokers'), settings.KAFKA_TOPIC, [stays]);
  expect(await ledger.wrongAt((key) => valueAt(stays, key))).toEqual([]);
  expect(await valueAt(stays, 'while leaving')).toBe('x');
});

test('a second signal ends it at once', async () => {
  const node = startNode(await newPlace(), { LOG: 'memory', BITACORA_DRAIN_DELAY: '50000' });
  await node.ready();
  node.signal('SIGTERM');
  await node.said('node.draining');
  const began = performance.now();
  expect(await node.end('SIGTERM')).toEqual({ code: 143, signal: null });
  expect(performance.now() - began).toBeLessThan(5_000);
});
