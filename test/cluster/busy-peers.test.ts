/** Questions of a node that is busy: restoring, its event loop hears what has come only between two pieces of work. The peer is in a thread of its own. */
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openHttpPeers, type PeerLimits, type PeerOutcome } from '../../cluster/peers.ts';
import type { PeerAnswer, Peers } from '../../src/ports.ts';
import { createKeptLog, realClock } from './real-clock.ts';

/** Counts the questions that have come to it, and those that it has answered; keys that begin with `hang` are none of these. */
const server = `
  const { workerData: shared, parentPort } = require('node:worker_threads');
  const [asked, answered] = [0, 1];
  require('node:http').createServer((request, response) => {
    const key = new URL(request.url, 'http://peer').searchParams.get('key');
    Atomics.add(shared, asked, 1);
    if (key.startsWith('hang')) return;
    response.writeHead(200, { 'bitacora-applied': '3:9', 'bitacora-genesis': 'g' });
    response.end(JSON.stringify({ key, value: 'v', timestamp: 7, source: 1, ttl: 0, uuid: 'u', version: '3:5' }), () => Atomics.add(shared, answered, 1));
  }).listen(0, '127.0.0.1', function () { parentPort.postMessage(this.address().port); });
`;

let shared: Int32Array;
let worker: Worker;
let address: string;
let peers: Peers | undefined;
beforeEach(async () => {
  shared = new Int32Array(new SharedArrayBuffer(8));
  worker = new Worker(server, { eval: true, workerData: shared });
  const port = await new Promise<number>((resolve, reject) => worker.once('message', resolve).once('error', reject));
  address = `127.0.0.1:${port}`;
});
afterEach(async () => {
  await peers?.close();
  await worker.terminate();
});

function open(limits: Partial<PeerLimits> = {}) {
  const outcomes: PeerOutcome[] = [];
  const log = createKeptLog();
  const members = [{ address, socket: '' }];
  peers = openHttpPeers({ members: () => members, clock: realClock, logger: log, limits, observe: (outcome) => outcomes.push(outcome) });
  return { peers, outcomes, log };
}

const limitMs = 60;

/** Nothing is heard here until the peer has done so much, and a time limit that began before is over. */
function busyUntil(count: 'asked' | 'answered', times: number): void {
  const place = count === 'asked' ? 0 : 1;
  const began = performance.now();
  while (Atomics.load(shared, place) < times || performance.now() - began < 2 * limitMs) {
    if (performance.now() - began > 20_000) throw new Error(`not ${count} ${times} times`);
  }
}

/** Lets what was asked leave, and no more. */
async function sent(times: number): Promise<void> {
  while (Atomics.load(shared, 0) < times) await new Promise((resolve) => setImmediate(resolve));
}

async function all(answers: AsyncIterable<PeerAnswer>): Promise<PeerAnswer[]> {
  const collected: PeerAnswer[] = [];
  for await (const answer of answers) collected.push(answer);
  return collected;
}

test('an answer that has come is heard, though the time limit is over before this node can look', async () => {
  const { peers: asking, outcomes } = open();
  // A connection is there.
  expect(await all(asking.ask('first', 10_000))).toHaveLength(1);
  for (let times = 2; times < 8; times++) {
    const answers = all(asking.ask('k', limitMs));
    await sent(times);
    busyUntil('answered', times);
    expect(await answers).toHaveLength(1);
  }
  expect(outcomes).toEqual(Array.from({ length: 7 }, () => 'found'));
});

test('a peer is not given up for what this node had no time to hear', async () => {
  const { peers: asking, outcomes, log } = open({ failures: 3, firstPauseMs: 60_000 });
  expect(await all(asking.ask('first', 10_000))).toHaveLength(1);
  for (let times = 2; times < 8; times++) {
    const answers = all(asking.ask(`hang-${times}`, limitMs));
    await sent(times);
    busyUntil('asked', times);
    expect(await answers).toEqual([]);
  }
  await expect.poll(() => outcomes.slice(1)).toEqual(Array.from({ length: 6 }, () => 'timeout'));
  expect(log.events).toEqual([]);
  expect(await all(asking.ask('k', 10_000))).toHaveLength(1);
});

test('a peer that is silent to a node that listens is given up', async () => {
  const { peers: asking, outcomes, log } = open({ failures: 3, firstPauseMs: 60_000 });
  for (let times = 0; times < 3; times++) expect(await all(asking.ask('hang', 1_000))).toEqual([]);
  await expect.poll(() => outcomes).toEqual(['timeout', 'timeout', 'timeout']);
  expect(log.events).toEqual(['peers.paused']);
});
