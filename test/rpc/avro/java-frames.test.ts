/** What Avro's own Java clients said to a Java server (test/avro-java captured it), said to ours: the same frames, cut as they cut them. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { handshakeResponse } from '../../../wire/avro/codec.ts';
import { bytesOf, type Part, partsOf, type Scenario, scenariosOf } from '../../wire/golden.ts';
import { RawClient, readAnswer } from './raw-client.ts';
import { type Running, startServer } from './start-server.ts';

let running: Running;
beforeEach(async () => {
  running = await startServer();
});
afterEach(() => running.stop());

/** Texts by hash, from every handshake that brings one. */
function textsOf(parts: Iterable<readonly Part[]>): Map<string, string> {
  const texts = new Map<string, string>();
  for (const { handshake } of [...parts].flat()) {
    if (handshake === undefined) continue;
    if ('clientHash' in handshake && handshake.clientProtocol !== null) texts.set(hex(handshake.clientHash), handshake.clientProtocol);
    if ('match' in handshake && handshake.serverHash !== null) texts.set(hex(handshake.serverHash), handshake.serverProtocol ?? '');
  }
  return texts;
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

describe.each(['1.7.7', '1.12.1'])('Avro %s', (version) => {
  const scenarios = scenariosOf(version);
  const read = partsOf(scenarios);
  const texts = textsOf(read.values());

  test.each(scenarios.map((scenario) => [scenario.name, scenario] as const))('%s', async (name, scenario) => {
    const parts = read.get(name) ?? [];
    await teach(parts);
    await fill(parts);
    await replay(scenario, parts);
    expect(running.lines).toEqual([]);
  });

  /** Lets the server know the clients that the recorded one knew from before. */
  async function teach(parts: readonly Part[]): Promise<void> {
    const told = new Set<string>();
    for (const [index, { handshake }] of parts.entries()) {
      if (handshake === undefined || !('clientHash' in handshake)) continue;
      const hash = hex(handshake.clientHash);
      const answer = parts[index + 1]?.handshake;
      if (handshake.clientProtocol !== null) told.add(hash);
      if (told.has(hash) || (answer !== undefined && 'match' in answer && answer.match === 'NONE')) continue;
      told.add(hash);
      const client = await RawClient.connect(running.port);
      await client.greet({ protocol: { text: texts.get(hash), hash: handshake.clientHash } as never, withText: true });
      await client.close();
    }
  }

  /** Lets the server hold what the recorded one answered. */
  async function fill(parts: readonly Part[]): Promise<void> {
    for (const { from, call } of parts) {
      const { key } = (call.request ?? {}) as { key?: string };
      const value = (call.response as { string?: string } | null)?.string;
      if (from === 'client' && call.message === 'getValue' && key && value !== undefined)
        await running.keyValue.put(key, Buffer.from(value));
    }
  }

  async function replay({ frames }: Scenario, parts: readonly Part[]): Promise<void> {
    const clients = new Map<string, RawClient>();
    for (const [index, line] of frames.entries()) {
      const [connection = ''] = line.split(' ');
      const bytes = bytesOf(line);
      const client = clients.get(connection) ?? (await RawClient.connect(running.port));
      clients.set(connection, client);
      const part = parts[index] as Part;
      if (part.from === 'client') client.write(bytes);
      else compare(part, await client.answer(bytes.readInt32BE(0)));
    }
    for (const client of clients.values()) {
      expect(client.isClosed).toBe(false);
      await client.close();
    }
  }

  /** Our answer beside the recorded one. Where the recorded server had the original's protocol, its BOTH is CLIENT here. */
  function compare({ handshake, body, call }: Part, payload: Buffer): void {
    let rest = payload;
    if (handshake !== undefined && 'match' in handshake) {
      const { value, end } = handshakeResponse.decode(payload, 0);
      expect(handshake.match === 'BOTH' ? ['BOTH', 'CLIENT'] : [handshake.match]).toContain(value.match);
      if (value.match !== 'BOTH') expect([value.serverProtocol, value.serverHash]).not.toContain(null);
      rest = payload.subarray(end);
    }
    if (body === undefined || call.message === '') {
      expect(rest).toHaveLength(0);
      return;
    }
    const answer = readAnswer(call.message, rest);
    const { key = '' } = (call.request ?? {}) as { key?: string };
    if (call.message === 'getNothing') expect(answer).toMatchObject({ failure: { code: 'bad-request' } });
    else if (call.message === 'getValue' && key !== '') {
      const found = running.keyValue.peek(key)?.found;
      expect(answer).toEqual({ value: found === undefined ? null : Buffer.from(found.value).toString() });
    } else if (key !== '' && ['setValue', 'delete'].includes(call.message)) expect(answer).toEqual({ value: null });
  }
});
