/** `bitacora move-log` on real processes, under load: nothing acknowledged is lost, nothing is acknowledged behind the seal. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterEach, expect, inject, test } from 'vitest';
import { call, valueAt } from './calls.ts';
import { cleanUp, newDirectory, watchOver } from './clean-up.ts';
import { clusterSettings, endsOf, startNodes } from './cluster.ts';
import { Callers, contentAt, fill } from './moving.ts';
import { type NodeProcess, newPlace, startNode } from './node-process.ts';
import { bitacora } from './shell.ts';
import { until } from './until.ts';
import { tokenIn, v1Get, v1Put, versionIn } from './v1-calls.ts';

afterEach(cleanUp);

/** The machine may have much else to do. */
const patient = ['--timeout', '3m'];
const longMs = 120_000;
const newCluster = () => clusterSettings(inject('brokers'), inject('zookeeperHosts'));

/** What must hold of a move that was told as done. */
async function expectMoved(callers: Callers, old: readonly NodeProcess[], fresh: NodeProcess): Promise<void> {
  const done = callers.ledger.counts.done;
  const sealed = callers.refusals.get('log-sealed') ?? 0;
  await until('callers are refused on and on', () => (callers.refusals.get('log-sealed') ?? 0) > sealed + 20, longMs);
  expect(callers.ledger.counts.done).toBe(done);
  await callers.stop();
  expect(await callers.ledger.wrongAt((key) => contentAt(fresh, key))).toEqual([]);
  const [refused] = await Promise.all(old.map((node) => v1Put(node, 'k', 'v')));
  expect(refused?.status).toBe(503);
  expect(JSON.parse(refused?.body ?? '')).toMatchObject({ code: 'log-sealed', detail: expect.stringContaining(fresh.url) });
}

test('from the embedded log to Kafka: what was acknowledged is there, and what is of the old log is refused', async () => {
  const settings = newCluster();
  const old = startNode(await newPlace(), {});
  const fresh = startNode(await newPlace(), settings);
  await Promise.all([old.ready(), fresh.ready()]);
  await fill(old, 5_000);
  const written = await v1Put(old, 'mine', 'first');
  await v1Put(old, 'mine', 'second');
  const callers = new Callers();
  callers.start([old], 6);
  await until('writes are under way', () => callers.ledger.counts.done > 200, longMs);
  const moved = await bitacora('move-log', '--from', old.url, '--to', fresh.url, ...patient);
  expect([moved.code, moved.err]).toEqual([0, expect.stringMatching(/^moved 5,\d{3} keys/m)]);
  await expectMoved(callers, [old], fresh);
  expect(callers.ledger.counts.done).toBeGreaterThan(200);
  expect(await valueAt(fresh, 'filled/4999')).toMatch(/^value 4999 x/);

  // What was seen of the old log is no position of the new one, and whoever says so with a version writes nothing.
  const token = { 'bitacora-min-position': tokenIn(written) };
  const read = await v1Get(fresh, 'mine', '', token);
  expect([read.status, JSON.parse(read.body)]).toEqual([409, expect.objectContaining({ code: 'position-foreign' })]);
  const condition = { 'if-match': `"${versionIn(written)}"` };
  expect((await v1Put(fresh, 'mine', 'third', { ...condition, ...token })).status).toBe(409);
  expect((await v1Put(fresh, 'mine', 'third', { 'if-match': written.headers.etag as string })).status).toBe(409);
  expect(await valueAt(fresh, 'mine')).toBe('second');

  // Read on, restarted or not; and the way back.
  expect(await valueAt(old, 'mine')).toBe('second');
  await old.end();
  const again = startNode(old, {});
  await again.ready();
  expect(await again.status()).toMatchObject({ writable: false, ready: true });
  expect((await call(again.url, 'GET', '/readyz/write')).status).toBe(503);
  expect((await v1Put(again, 'mine', 'x')).status).toBe(503);
  expect((await v1Get(again, 'mine', '?consistency=linearizable')).status).toBe(503);
  expect((await v1Get(again, 'mine', '?consistency=latest')).status).toBe(200);
  expect((await bitacora('move-log', '--from', again.url, '--undo')).code).toBe(0);
  expect((await v1Put(again, 'mine', 'back')).status).toBe(200);
}, 400_000);

test('from one topic to another: a node that sleeps through the seal acknowledges nothing, and a mover that is killed goes on', async () => {
  const settings = newCluster();
  const [awake, sleeper] = (await startNodes(2, settings)) as [NodeProcess, NodeProcess];
  const [fresh, second] = (await startNodes(2, newCluster())) as [NodeProcess, NodeProcess];
  await fill(awake, 10_000);
  const callers = new Callers();
  callers.start([awake, sleeper], 4);
  await until('writes are under way', () => callers.ledger.counts.done > 200, longMs);

  const state = join(await newDirectory(), 'state');
  const argv = ['move-log', '--from', awake.url, '--to', fresh.url, '--resume', state, ...patient];
  await killedAt(argv, () => existsSync(state));
  expect((await v1Put(awake, 'k', 'v')).status).toBe(200);

  // What is sent to it now lies in its sockets until it wakes.
  sleeper.signal('SIGSTOP');
  const late = Array.from({ length: 20 }, (_, i) => callers.write(sleeper, `late/${i}`, i * 7));
  await killedAt(argv, (said) => said.includes('sealed http'));
  const moved = await bitacora(...argv);
  expect([moved.code, moved.err]).toEqual([0, expect.stringMatching(/^moved 10,\d{3} keys|^it was moved already/m)]);
  const ends = await endsOf(inject('brokers'), settings.KAFKA_TOPIC);
  sleeper.signal('SIGCONT');
  expect((await Promise.all(late)).filter((outcome) => outcome === 'done')).toEqual([]);
  await expectMoved(callers, [awake, sleeper], fresh);
  expect(await endsOf(inject('brokers'), settings.KAFKA_TOPIC)).toEqual(ends);
  expect(await callers.ledger.wrongAt((key) => contentAt(second, key))).toEqual([]);

  // A node that is new to the sealed topic serves it, and says so.
  const newcomer = startNode(await newPlace(), settings);
  await newcomer.ready();
  expect(await valueAt(newcomer, 'filled/9999')).toMatch(/^value 9999 x/);
  expect(JSON.parse((await v1Put(newcomer, 'k', 'v')).body)).toMatchObject({
    code: 'log-sealed',
    detail: expect.stringContaining(fresh.url),
  });
  expect(newcomer.lines.some(({ event, level }) => event === 'log.seal' && level === 'warn')).toBe(true);
  expect((await newcomer.end()).code).toBe(0);

  expect((await bitacora('move-log', '--from', awake.url, '--undo')).code).toBe(0);
  for (const node of [awake, sleeper]) await until('it takes writes', async () => (await v1Put(node, 'k', 'back')).status === 200, longMs);
}, 400_000);

test('a mover that is stopped behind the seal, and wakes when another run has ended the move, writes over nothing', async () => {
  const [old, fresh] = [startNode(await newPlace(), {}), startNode(await newPlace(), {})];
  await Promise.all([old.ready(), fresh.ready()]);
  await fill(old, 10_000);
  const argv = ['move-log', '--from', old.url, '--to', fresh.url, '--resume', join(await newDirectory(), 'state'), ...patient];
  const sleeper = spawn(process.execPath, [resolve('dist/src/app/main.js'), ...argv], { stdio: ['ignore', 'ignore', 'pipe'] });
  watchOver(sleeper.pid as number);
  const ended = new Promise<number | null>((done) => sleeper.once('close', done));
  let said = '';
  sleeper.stderr.setEncoding('utf8').on('data', (text: string) => {
    const before = said;
    said += text;
    if (said.includes('sealed http') && !before.includes('sealed http')) sleeper.kill('SIGSTOP');
  });
  await until('the mover is behind the seal', () => said.includes('sealed http') || sleeper.exitCode !== null, longMs);
  expect((await bitacora(...argv)).code).toBe(0);
  expect((await v1Put(fresh, 'filled/5', 'newer')).status).toBe(200);
  expect((await v1Put(fresh, 'new caller', 'v')).status).toBe(200);
  sleeper.kill('SIGCONT');
  // It may have come to its end before it was stopped.
  expect([0, 4], said).toContain(await ended);
  expect([await valueAt(fresh, 'filled/5'), await valueAt(fresh, 'new caller')]).toEqual(['newer', 'v']);
}, 400_000);

/** Runs the mover until something holds, and kills it; it may have come to its end by then. */
async function killedAt(argv: readonly string[], holds: (said: string) => boolean): Promise<void> {
  const child = spawn(process.execPath, [resolve('dist/src/app/main.js'), ...argv], { stdio: ['ignore', 'ignore', 'pipe'] });
  watchOver(child.pid as number);
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
    if (holds(said)) child.kill('SIGKILL');
  });
  const ended = new Promise<void>((done) => child.once('close', () => done()));
  await until('the mover is where it is to be killed', () => holds(said) || child.exitCode !== null, longMs);
  child.kill('SIGKILL');
  await ended;
}
