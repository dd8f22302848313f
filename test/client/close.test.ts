/** Closing: what is under way may finish for a while, then everybody is told; afterwards nothing is left. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { never } from './fake-server.ts';
import { clientOf, connected, gate, startServer, until } from './setting.ts';

test('calls under way finish, later ones are refused, and connections end', async () => {
  const server = await startServer();
  const client = await clientOf([server]);
  const held = gate();
  server.answers.getRecord = async () => {
    await held.opened;
    return { found: null, source: 1, applied: { partition: 0, offset: 0 }, genesis: '' };
  };
  const read = client.get('a');
  await until('it has arrived', () => server.count('getRecord') === 1);
  const closed = client.close();
  expect(client.close()).toBe(closed);
  const late = [client.get('a'), client.set('a', '1'), client.getMany(['a']), client.setMany([['a', '1']])];
  await Promise.all(late.map((call) => expect(call).rejects.toMatchObject({ code: 'closed', retryable: false })));
  held.open();
  expect(await read).toBeUndefined();
  await closed;
  await until('its socket is gone', () => server.sockets.size === 0);
});

test('what takes too long is ended: reads closed, writes unknown', async () => {
  const server = await startServer();
  const client = await clientOf([server], { closeTimeoutMs: 30 });
  server.answers.getRecord = server.answers.setRecord = server.answers.setMany = () => never;
  const calls = [client.get('a'), client.set('a', '1'), client.setMany([['b', '1']])].map((call) => call.catch((error: unknown) => error));
  await until('they have arrived', () => server.calls.length === 4);
  await client.close();
  const [read, write, many] = await Promise.all(calls);
  expect(read).toMatchObject({ code: 'closed' });
  expect(write).toMatchObject({ code: 'unknown-outcome' });
  expect(many).toMatchObject([{ error: { code: 'unknown-outcome' } }]);
  await until('its socket is gone', () => server.sockets.size === 0);
});

test('calls that wait for a server or for their next attempt are ended too', async () => {
  const server = await startServer();
  const client = await clientOf([server], { closeTimeoutMs: 0 });
  await server.kill();
  await until('its connection is lost', () => client.servers.length === 0);
  const calls = [client.get('a'), client.set('a', '1')].map((call) => call.catch((error: unknown) => error));
  await client.close();
  for (const error of await Promise.all(calls)) expect(error).toMatchObject({ code: 'closed' });
});

const program = (address: string, then: string) => `
  import { connect } from ${JSON.stringify(new URL('../../client/index.ts', import.meta.url).href)};
  const client = await connect({ servers: ['127.0.0.1:1', '${address}'] });
  ${then}
  process.stdout.write('done');
`;
const run = (code: string) =>
  promisify(execFile)(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', code], { timeout: 20_000 });

test('a program ends by itself after close, although a server was being waited for', async () => {
  const server = await startServer();
  const { stdout } = await run(program(server.address, `await client.set('a', '1'); await client.get('a'); await client.close();`));
  expect(stdout).toBe('done');
});

test('a program that waits for a call does not end before it has its answer, though no connection is open', async () => {
  const server = await startServer();
  server.answers.setRecord = () => {
    void server.kill();
    return never;
  };
  const then = `
    await client.set('a', '1').catch((error) => process.stdout.write(error.code + ' '));
    await client.get('a', { timeoutMs: 700 }).catch((error) => process.stdout.write(error.code + ' '));
    await client.close();`;
  const { stdout } = await run(program(server.address, then));
  expect(stdout).toBe('unknown-outcome connection done');
});

test('connect that fails leaves nothing either', async () => {
  const server = await startServer();
  server.freeze();
  await expect(connected({ servers: [server.address], connectTimeoutMs: 60 })).rejects.toMatchObject({ code: 'connection' });
  server.thaw();
  await until('its sockets are gone', () => server.sockets.size === 0);
});
