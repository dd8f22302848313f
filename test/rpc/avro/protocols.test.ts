/** Clients that bring other protocols than ours: older, later, strange, and meant to harm. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Protocol, text } from '../../../wire/avro/codec.ts';
import type { Encode } from '../../../wire/avro/frames.ts';
import { answerBranch, failureBranch } from '../../../wire/avro/messages.ts';
import { originalProtocol, protocol } from '../../../wire/avro/protocol.ts';
import { bytesOf, call, changed, handshake, original } from './payloads.ts';
import { RawClient } from './raw-client.ts';
import { type Running, startServer } from './start-server.ts';

let running: Running;
let other: RawClient;
beforeEach(async () => {
  running = await startServer();
  await running.keyValue.put('a', Buffer.from('1'));
  other = await RawClient.open(running.port);
});
afterEach(async () => {
  expect(await other.call('getValue', { key: 'a' })).toEqual({ value: '1' });
  await other.close();
  await running.stop();
});

const open = (protocol: Protocol) => RawClient.open(running.port, { protocol, withText: true });
const requestOf = (document: { messages: Record<string, { request: object[] }> }, name: string): object[] =>
  document.messages[name]?.request ?? [];

describe('older and later protocols', () => {
  test('the original’s, as Java tells it with its own strings', async () => {
    const strings = JSON.stringify(originalProtocol).replaceAll('"type":"string"', '"type":{"type":"string","avro.java.string":"String"}');
    const client = await RawClient.connect(running.port);
    const hello = handshake({ protocol: { ...original, text: strings, hash: Buffer.alloc(16, 3) } as Protocol, withText: true });
    client.send(hello);
    expect(await client.call('setValue', { key: 'b', value: 'ñ' })).toEqual({ value: null });
    expect(await client.call('getValue', { key: 'b' })).toEqual({ value: 'ñ' });
    await client.close();
  });

  test('a later one: fields that we do not know are passed over, in any order', async () => {
    const later = changed((document) => {
      document.types.push({ type: 'record', name: 'Hint', fields: [{ name: 'words', type: { type: 'map', values: ['null', 'Hint'] } }] });
      requestOf(document, 'getValue').unshift({ name: 'hint', type: 'Hint', default: { words: {} } });
    });
    const client = await open(later);
    // {words: {x: {words: {}}, y: null}}, in a block that tells its size, and then the key
    const hint = Buffer.from('03' + '10' + '0278' + '02' + '00' + '0279' + '00' + '00', 'hex');
    expect(hint.length - 3).toBe(7);
    hint[1] = 14;
    const answer = await client.answer(client.send(call('getValue'), hint, bytesOf(text.encode('a'))));
    expect(answer.toString('hex')).toBe('0000020231');
    await client.close();
  });

  test.each<[string, Protocol]>([
    ['has a parameter less', changed((document) => requestOf(document, 'setValue').pop())],
    ['has it of another type', changed((document) => requestOf(document, 'setValue').splice(1, 1, { name: 'value', type: 'double' }))],
    ['does not have the message', changed((document) => delete document.messages['setValue'])],
    ['has no messages', new Protocol('{"protocol":"x"}')],
    ['waits for no answer', changed((document) => Object.assign(document.messages['setValue'] ?? {}, { 'one-way': true }))],
  ])('one that %s: an error in words, and the connection goes on', async (_what, protocol) => {
    const client = await open(protocol);
    for (let turn = 0; turn < 2; turn++) {
      expect(await client.callRaw('setValue', text.encode('k'), text.encode('v'))).toMatchObject({ failure: { code: 'bad-request' } });
    }
    expect(await client.ping()).toHaveLength(0);
    expect(running.observed[0]).toEqual({ message: 'setValue', outcome: 'bad-request' });
    expect(running.lines).toEqual([]);
    await client.close();
  });
});

describe('a client whose protocol has bytes where ours has text', () => {
  const asBytes = new Protocol(JSON.stringify(protocol).replaceAll('"string"', '"bytes"'));
  const raw =
    (value: Buffer): Encode =>
    (buffer, at) =>
      at + value.length > buffer.length ? buffer.length - at - value.length : at + value.copy(buffer, at);
  /** A short value, behind its length. */
  const bytes = (value: string | Buffer) => raw(Buffer.concat([Buffer.from([2 * Buffer.byteLength(value)]), Buffer.from(value as string)]));
  const zero = raw(Buffer.from([0]));
  const two = raw(Buffer.from([4]));
  const noSeen = raw(Buffer.from([0, 0]));
  const noText = Buffer.from([0x6b, 0xff]);
  /** What avsc makes of such bytes. */
  const replaced = noText.toString('utf8');

  test('that are UTF-8: they are that text, U+FFFD itself included', async () => {
    const client = await open(asBytes);
    expect(await client.callRaw('setValue', bytes('ñ\uFFFD'), bytes('ж\uFFFD'))).toEqual({ value: null });
    expect(await client.callRaw('getValue', bytes('ñ\uFFFD'))).toEqual({ value: 'ж\uFFFD' });
    await client.close();
  });

  test.each(['getValue', 'setValue', 'delete', 'getRecord', 'setRecord', 'deleteRecord'] as const)(
    'a key of %s that is not: key-invalid, and nothing is done under another key',
    async (name) => {
      await running.keyValue.put(replaced, Buffer.from('of another key'));
      const client = await open(asBytes);
      const behind = { setValue: [bytes('v')], getRecord: [noSeen], setRecord: [bytes('v'), bytes(''), zero] } as Record<string, Encode[]>;
      expect(await client.callRaw(name, bytes(noText), ...(behind[name] ?? []))).toMatchObject({ failure: { code: 'key-invalid' } });
      expect(await other.call('getValue', { key: replaced })).toEqual({ value: 'of another key' });
      expect(running.lines).toEqual([]);
      await client.close();
    },
  );

  test('keys of many: each by itself', async () => {
    const client = await open(asBytes);
    const { value } = (await client.callRaw('getMany', two, bytes(noText), bytes('a'), zero, noSeen)) as { value: object[] };
    expect(value).toMatchObject([{ [failureBranch]: { code: 'key-invalid' } }, { [answerBranch]: { found: { value: Buffer.from('1') } } }]);
    await client.close();
  });

  test('a value of setValue that is not: bad-request, and nothing is written', async () => {
    const client = await open(asBytes);
    expect(await client.callRaw('setValue', bytes('a'), bytes(noText))).toMatchObject({ failure: { code: 'bad-request' } });
    expect(await client.callRaw('setRecord', bytes('a'), bytes(noText), bytes(noText), zero)).toMatchObject({
      failure: { code: 'bad-request' },
    });
    expect(await client.callRaw('setRecord', bytes('b'), bytes(noText), bytes(''), zero)).toMatchObject({ value: {} });
    await client.close();
  });
});

describe('texts that are no protocol', () => {
  test.each([
    '',
    'null',
    '7',
    '{}',
    '[]',
    '{"protocol":7}',
    '{"protocol":"x","types":7}',
    '{"protocol":"x","types":[{"type":"record","name":"a","fields":[{"name":"b","type":"nowhere"}]}]}',
    '{"protocol":"x","types":[{"type":"record","name":"__proto__","fields":[]},{"type":"fixed","name":"f","size":-1}]}',
    '{"protocol":"x","messages":{"getValue":{"request":"key","response":"null"}}}',
    '['.repeat(30_000),
    `{"protocol":${'{"a":'.repeat(5_000)}1${'}'.repeat(5_000)}}`,
  ])('%.60s: cut, with one line', async (document) => {
    const client = await RawClient.connect(running.port);
    client.send(
      handshake({ protocol: { ...original, text: document, hash: original.hash } as Protocol, withText: true }),
      call('getValue'),
    );
    await client.closed;
    expect(running.cuts()).toMatchObject([{ reason: 'malformed' }]);
  });
});

describe('protocols that make much of little', () => {
  /** Each holds the one before twice: 2^60 of the first. */
  const doubling = (more: object): object[] => [
    { type: 'record', name: 'T0', fields: [] },
    ...Array.from({ length: 60 }, (_, index) => ({
      type: 'record',
      name: `T${index + 1}`,
      fields: ['a', 'b'].map((name) => ({ name, type: `T${index}`, ...more })),
    })),
  ];
  const withFirst = (type: unknown, types: object[] = []): Protocol =>
    changed((document) => {
      document.types.push(...types);
      requestOf(document, 'getValue').unshift({ name: 'first', type });
    });
  const key = bytesOf(text.encode('a'));

  test.each<[string, Protocol, string]>([
    ['records that hold records twice', withFirst('T60', doubling({})), ''],
    ['an array of 2^40 nothings', withFirst({ type: 'array', items: 'null' }), '808080808040'],
    [
      'arrays of arrays of nothings',
      withFirst({ type: 'array', items: { type: 'array', items: 'null' } }),
      `d00f${'c09a0c00'.repeat(1_000)}00`,
    ],
    ['a block that jumps backwards', withFirst({ type: 'array', items: 'int' }), '03030000'],
    ['a map whose block says another size', withFirst({ type: 'map', values: 'int' }), '0120026102' + '00'],
    [
      'recursion',
      withFirst('Deep', [{ type: 'record', name: 'Deep', fields: [{ name: 'deep', type: ['null', 'Deep'] }] }]),
      '02'.repeat(5_000),
    ],
    ['a fixed of 1 GB', withFirst({ type: 'fixed', name: 'Big', size: 2 ** 30 }), '00'],
  ])('%s: refused at once', async (_what, protocol, first) => {
    const client = await open(protocol);
    const began = performance.now();
    client.send(call('getValue'), Buffer.from(first, 'hex'), key);
    await client.closed;
    expect(performance.now() - began).toBeLessThan(1_000);
    expect(running.cuts()).toMatchObject([{ reason: 'malformed' }]);
  });

  test('defaults of records within records are not worked out', async () => {
    const client = await RawClient.connect(running.port);
    const protocol = withFirst('T60', doubling({ default: {} }));
    const began = performance.now();
    await client.greet({ protocol, withText: true });
    expect(performance.now() - began).toBeLessThan(1_000);
    await client.close();
  });

  test('as many types as a text can hold', async () => {
    const client = await RawClient.connect(running.port);
    const types = Array.from({ length: 600 }, (_, index) => ({ type: 'record', name: `R${index}`, fields: [] }));
    const began = performance.now();
    await client.greet({ protocol: withFirst('R599', types), withText: true });
    expect(await client.callRaw('getValue', text.encode('a'))).toEqual({ value: '1' });
    expect(performance.now() - began).toBeLessThan(2_000);
    await client.close();
  });
});
