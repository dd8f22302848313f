/** 1,000 malformed frames of many kinds against a real node, while another client's calls all succeed. */
import { connect as dial } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { connect } from '../../client/index.ts';
import { encodeRequest } from '../../wire/avro/codec.ts';
import { call, frame, handshake } from '../rpc/avro/payloads.ts';
import { atCleanUp, cleanUp } from './clean-up.ts';
import { inParallel } from './ledger.ts';
import { type NodeProcess, newPlace, startNode } from './node-process.ts';
import { until } from './until.ts';

afterEach(cleanUp);

/** The same numbers in every run. */
function numbersFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const below = numbersFrom(20_261_121);
const some = (length: number): Buffer => Buffer.from(Array.from({ length }, () => below(256)));
const whole = Buffer.concat([frame(1, handshake(), call('setMany', encodeRequest('setMany', { puts: [] })))]);
const get = frame(2, call('getValue', encodeRequest('getValue', { key: 'hello' })));

/** Kinds of what must not be taken, each made anew for every connection. */
const kinds: (() => Buffer)[] = [
  () => some(1 + below(400)),
  () => Buffer.from(`GET /rpc?key=${below(1_000)} HTTP/1.1\r\n\r\n`),
  () => whole.subarray(0, 1 + below(whole.length - 1)),
  () => frame(below(1_000), handshake(), some(1 + below(50))),
  () => frame(below(1_000), handshake().subarray(0, below(30)), some(below(9))),
  () => Buffer.concat([whole, frame(3, some(1 + below(60)))]),
  () => Buffer.from([0, 0, 0, 1, 0x7f, 0xff, 0xff, below(256)]),
  () => Buffer.from([0, 0, 0, 1, 0, 0, 0, 1, 0x7f, 0xff, 0xff, below(256)]),
  () => Buffer.from([0, 0, 0, 1, 0xff, 0xff, 0xff, below(256)]),
  // 2^40 keys, and then nothing.
  () => frame(4, handshake(), call('getMany'), Buffer.from('808080808040', 'hex')),
  () => {
    const bytes = Buffer.concat([whole, get]);
    for (let i = 0; i < 3; i++) bytes[below(bytes.length)] = below(256);
    return bytes;
  },
];

/** Sends the bytes, and resolves when the connection is over. */
function send(node: NodeProcess, bytes: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = dial({ host: '127.0.0.1', port: node.avroPort });
    socket.setTimeout(20_000, () => reject(new Error('the connection was not ended')));
    // A reset is one of the ways in which it ends.
    socket.on('error', () => undefined).on('close', () => resolve());
    socket.resume();
    socket.end(bytes);
  });
}

test('1,000 malformed frames, and nobody else notices', async () => {
  const node = startNode(await newPlace(), { LOG: 'memory', BITACORA_REQUEST_TIMEOUT: '1000' });
  await node.ready();
  const client = await connect({ servers: [node.socket] });
  atCleanUp(() => client.close());
  await client.set('hello', 'world');
  let attacking = true;
  let calls = 0;
  const others = inParallel(Array.from({ length: 8 }), 8, async () => {
    for (; attacking; calls++) {
      expect(await client.get('hello')).toBe('world');
      if (calls % 20 === 0) await client.set('hello', 'world');
    }
  });
  others.catch(() => undefined);
  await inParallel(
    Array.from({ length: 1_000 }, (_, i) => i),
    16,
    (i) => send(node, (kinds[i % kinds.length] as () => Buffer)()),
  );
  attacking = false;
  await others;
  expect(calls).toBeGreaterThan(500);
  await until('only the client is connected', async () => (await node.metric('bitacora_avro_connections')) === 1);
  const cuts = node.lines.filter(({ event }) => event === 'avro.connection-closed');
  expect(cuts.length).toBeGreaterThan(700);
  expect(cuts.length).toBeLessThanOrEqual(1_000);
  expect(node.lines.filter(({ level }) => level === 'error')).toEqual([]);
  expect(node.errors()).toBe('');
  expect((await node.end()).code).toBe(0);
}, 120_000);
