/** Nobody waits longer than he wants to, and who stops waiting is told what may have happened. */
import { expect, test } from 'vitest';
import { type FakeServer, never } from './fake-server.ts';
import { clientOf, startServer, startServers, until } from './setting.ts';

async function held() {
  const server = await startServer();
  const client = await clientOf([server]);
  server.answers.getRecord = server.answers.setRecord = () => never;
  return { server, client };
}

test('a read’s time is up: timeout, safe to repeat', async () => {
  const { client } = await held();
  await expect(client.get('a', { timeoutMs: 40 })).rejects.toMatchObject({ code: 'timeout', retryable: true });
});

test('a write’s time is up after it was sent: unknown', async () => {
  const { client } = await held();
  await expect(client.set('a', '1', { timeoutMs: 40 })).rejects.toMatchObject({ code: 'unknown-outcome', retryable: false });
});

test('the default of connect holds where a call says nothing', async () => {
  const server = await startServer();
  const client = await clientOf([server], { timeoutMs: 50 });
  server.answers.getRecord = () => never;
  await expect(client.get('a')).rejects.toMatchObject({ code: 'timeout' });
});

test('a read is aborted', async () => {
  const { client } = await held();
  const stop = new AbortController();
  const read = client.get('a', { signal: stop.signal });
  const reason = new Error('enough');
  stop.abort(reason);
  await expect(read).rejects.toMatchObject({ code: 'aborted', cause: reason });
});

test('a write is aborted after it was sent, or while it waits to leave: unknown, as nothing can call it back', async () => {
  const { server, client } = await held();
  const stop = new AbortController();
  const sent = client.set('a', '1', { signal: stop.signal }).catch((error: unknown) => error);
  await until('it has arrived', () => server.count('setRecord') === 1);
  stop.abort();
  expect(await sent).toMatchObject({ code: 'unknown-outcome', retryable: false, cause: { name: 'AbortError' } });
  const again = new AbortController();
  const leaving = client.set('b', '1', { signal: again.signal }).catch((error: unknown) => error);
  again.abort();
  expect(await leaving).toMatchObject({ code: 'unknown-outcome' });
  await until('it has left all the same', () => server.count('setRecord') === 2);
});

test('a write is aborted before any server could take it: it did not happen', async () => {
  const { server, client } = await held();
  await server.kill();
  await until('its connection is lost', () => client.servers.length === 0);
  const stop = new AbortController();
  const write = client.set('a', '1', { signal: stop.signal });
  stop.abort();
  await expect(write).rejects.toMatchObject({ code: 'aborted' });
  expect(server.count('setRecord')).toBe(0);
});

test('aborted before it began: nothing is sent', async () => {
  const { server, client } = await held();
  const signal = AbortSignal.abort();
  const calls = [client.get('a', { signal }), client.set('a', '1', { signal }), client.getMany(['a'], { signal })];
  await Promise.all(calls.map((call) => expect(call).rejects.toMatchObject({ code: 'aborted' })));
  expect(server.calls).toHaveLength(1);
});

test('a signal keeps nothing of calls that are done', async () => {
  const client = await clientOf([await startServer()]);
  const { signal } = new AbortController();
  let listeners = 0;
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = (...given: Parameters<typeof add>) => {
    listeners++;
    add(...given);
  };
  signal.removeEventListener = (...given: Parameters<typeof remove>) => {
    listeners--;
    remove(...given);
  };
  await client.set('a', '1', { signal });
  expect(await client.get('a', { signal })).toBe('1');
  expect(listeners).toBe(0);
});

test('one signal for many calls: each is ended, and Node warns of nothing', async () => {
  const { server, client } = await held();
  const warnings: Error[] = [];
  const hear = (warning: Error) => warnings.push(warning);
  process.on('warning', hear);
  const stop = new AbortController();
  const calls = Array.from({ length: 30 }, () => client.get('a', { signal: stop.signal }).catch((error: unknown) => error));
  await until('they have arrived', () => server.count('getRecord') === 30);
  stop.abort();
  for (const error of await Promise.all(calls)) expect(error).toMatchObject({ code: 'aborted' });
  await new Promise(setImmediate);
  process.off('warning', hear);
  expect(warnings).toEqual([]);
});

test('many reads that wait for one server leave it together when it dies, and another answers them', async () => {
  const servers = await startServers(3);
  const client = await clientOf(servers, { timeoutMs: 20_000 });
  const [one, two] = servers as [FakeServer, FakeServer, FakeServer];
  for (const server of [one, two]) server.answers.getRecord = () => never;
  const reads = Array.from({ length: 30 }, () => client.get('a'));
  await until('both were asked', () => one.count('getRecord') > 0 && two.count('getRecord') > 0);
  await Promise.all([one.kill(), two.kill()]);
  expect(await Promise.all(reads)).toEqual(Array(30).fill(undefined));
});

test('no server can be reached until time is up: the error says what was tried', async () => {
  const { server, client } = await held();
  await server.kill();
  await until('its connection is lost', () => client.servers.length === 0);
  const calls = [client.get('a', { timeoutMs: 150 }), client.set('a', '1', { timeoutMs: 150 })];
  for (const error of await Promise.all(calls.map((call) => call.catch((reason: unknown) => reason)))) {
    expect(error).toMatchObject({ name: 'ClientConnectionError', code: 'connection', retryable: true });
    expect(String(error)).toContain(server.address);
  }
});
