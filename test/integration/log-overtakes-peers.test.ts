/** While the peers are asked for a key the log brings it: the log's word is the answer, and nobody waits for the peers. */
import { afterEach, expect, inject, test } from 'vitest';
import { found, get, put, remove } from './calls.ts';
import { cleanUp } from './clean-up.ts';
import { newName } from './cluster.ts';
import { startFakePeer } from './fake-peer.ts';
import { newPlace, startNode } from './node-process.ts';

afterEach(cleanUp);

test('the key is written, or deleted, through another node while a peer hangs', async () => {
  const peer = await startFakePeer('hang');
  const settings = { BROKER_LIST: inject('brokers').join(','), KAFKA_TOPIC: newName('overtaken') };
  const asking = startNode(await newPlace(), { ...settings, BITACORA_MEMBERS: peer.address, EXTERNAL_REQUEST_TIMEOUT: '40000' });
  const writing = startNode(await newPlace(), settings);
  await Promise.all([asking.ready(), writing.ready()]);

  const began = performance.now();
  // Two ask for one key: they share the question, and the answer.
  const answers = [get(asking, 'awaited'), get(asking, 'awaited')];
  const gone = get(asking, 'deleted');
  await peer.heard('awaited');
  await peer.heard('deleted');
  await put(writing, 'awaited', 'from the log');
  await remove(writing, 'deleted');
  for (const answer of await Promise.all(answers)) expect(found(answer)).toMatchObject({ value: 'from the log', source: 1 });
  expect((await gone).status).toBe(404);
  expect(performance.now() - began).toBeLessThan(20_000);
  expect(peer.asked.filter((key) => key === 'awaited')).toHaveLength(1);
});
