/** What a partition's writer tells its callers when kafkajs tells half the truth: acknowledged, certainly not written, or unknown. */
import { expect, test } from 'vitest';
import { codeOf } from '../../src/core/errors.ts';
import type { Partition } from '../../src/ports.ts';
import type { Client, SocketWatch } from '../../storage/log/kafka/client.ts';
import { PartitionWriter } from '../../storage/log/kafka/partition-writer.ts';
import { newRecord } from '../contract/log-harness.ts';
import { silentLogger } from '../contract/silent-logger.ts';

type Send = (values: readonly string[], produced: () => void) => Promise<number>;

/** A writer on clients whose `send` the test plays. */
function openWriter(send: Send, limit: () => number | undefined = () => undefined) {
  const counts = { clients: 0 };
  const newClient = (watch: SocketWatch): Client => {
    counts.clients++;
    const producer = {
      connect: async () => undefined,
      disconnect: async () => undefined,
      send: async ({ messages }: { messages: readonly { value: Buffer }[] }) => {
        const values = messages.map(({ value }) => value.toString());
        return [{ baseOffset: String(await send(values, () => watch.produced())) }];
      },
    };
    return { kafka: { producer: () => producer }, cut: () => undefined } as unknown as Client;
  };
  const limits = { batchBytes: 10_000, batchRecords: 100, togetherBytes: 20_000, queueRecords: 100, queueBytes: 100_000, giveUpMs: 60_000 };
  const outcome = () => undefined;
  const seal = { sealed: false, limit: async () => limit() };
  const writer = new PartitionWriter({ topic: 't', partition: 0 as Partition, limits, logger: silentLogger, newClient, outcome, seal });
  return { writer, counts };
}

const brokerSays = (type: string): Error => Object.assign(new Error(type), { name: 'KafkaJSProtocolError', type });
const outcomeOf = (work: Promise<{ offset: number }>): Promise<number | string> =>
  work.then(
    ({ offset }) => offset,
    (error) => codeOf(error),
  );

test('a lost answer that hides behind a failed question for metadata stays unknown, and the same batch is sent again', async () => {
  const sent: string[][] = [];
  let down = true;
  const { writer } = openWriter(async (values, produced) => {
    sent.push([...values]);
    produced();
    if (down) throw brokerSays('LEADER_NOT_AVAILABLE');
    return sent.length === 0 ? 0 : values[0] === 'a' ? 0 : 1;
  });
  const a = outcomeOf(writer.append([newRecord('k', 'a')], AbortSignal.timeout(200)));
  const b = outcomeOf(writer.append([newRecord('k', 'b')], AbortSignal.timeout(10_000)));
  expect(await a).toBe('unknown-outcome');
  down = false;
  expect(await b).toBe(1);
  // Never a batch in the place of one that may be stored: the broker would take it for a duplicate.
  expect(sent.slice(0, -1).every(([first]) => first === 'a')).toBe(true);
  await writer.close(100);
});

test.each(['TOPIC_AUTHORIZATION_FAILED', 'MESSAGE_TOO_LARGE', 'OUT_OF_ORDER_SEQUENCE_NUMBER'])(
  'a batch that may be stored is unknown when it is answered with %s, and takes its producer with it',
  async (type) => {
    let attempt = 0;
    const { writer, counts } = openWriter(async (_values, produced) => {
      produced();
      attempt++;
      if (attempt === 1) throw new Error('the connection was lost');
      if (attempt === 2) throw brokerSays(type);
      return 7;
    });
    expect(await outcomeOf(writer.append([newRecord('k', 'a')]))).toBe('unknown-outcome');
    expect(await outcomeOf(writer.append([newRecord('k', 'b')]))).toBe(7);
    expect(counts.clients).toBe(2);
    await writer.close(100);
  },
);

test('one bad record does not harm the others, and their order stays', async () => {
  const stored: string[] = [];
  const { writer } = openWriter(async (values, produced) => {
    produced();
    if (values.includes('bad')) throw brokerSays('INVALID_RECORD');
    stored.push(...values);
    return stored.length - values.length;
  });
  const values = ['a', 'b', 'c', 'bad', 'd', 'e', 'f', 'g', 'h'];
  const outcomes = await Promise.all(values.map((value) => outcomeOf(writer.append([newRecord('k', value)]))));
  expect(outcomes).toEqual([0, 1, 2, 'log-unavailable', 3, 4, 5, 6, 7]);
  expect(stored).toEqual(values.filter((value) => value !== 'bad'));
  await writer.close(100);
});

test.each(['deadline', 'close'])('everyone of a batch that is being refused has his answer at the %s', async (end) => {
  const { writer } = openWriter(async (values, produced) => {
    produced();
    if (values.length > 1) throw brokerSays('INVALID_RECORD');
    throw brokerSays('NOT_ENOUGH_REPLICAS');
  });
  const stop = new AbortController();
  const outcomes = Array.from({ length: 8 }, (_, i) => outcomeOf(writer.append([newRecord('k', `${i}`)], stop.signal)));
  await new Promise((resolve) => setTimeout(resolve, 100));
  if (end === 'deadline') stop.abort();
  else await writer.close(100);
  const codes = await Promise.all(outcomes);
  expect(codes.every((code) => code === 'log-unavailable' || code === 'closed' || code === 'unknown-outcome')).toBe(true);
  await writer.close(100);
});

const together = (values: readonly string[]) => values.map((value) => newRecord('k', value));

test('records together are never divided: neither by what shares a batch with them, nor when the broker refuses it', async () => {
  const sent: string[][] = [];
  const { writer } = openWriter(async (values, produced) => {
    produced();
    if (values.includes('bad')) throw brokerSays('INVALID_RECORD');
    sent.push([...values]);
    return sent.flat().length - values.length;
  });
  const appends = [['a'], ['b'], ['c', 'd', 'e'], ['f', 'bad', 'g'], ['h'], ['i', 'j']];
  const outcomes = await Promise.all(appends.map((values) => outcomeOf(writer.append(together(values)))));
  expect(outcomes).toEqual([0, 1, 2, 'log-unavailable', 5, 6]);
  expect(sent.flat()).toEqual(['a', 'b', 'c', 'd', 'e', 'h', 'i', 'j']);
  expect(sent.filter((batch) => batch.includes('c'))).toEqual([expect.arrayContaining(['c', 'd', 'e'])]);
  await writer.close(100);
});

test('records together that only the broker finds too large are an invalid batch', async () => {
  const takesThree = async (values: readonly string[], produced: () => void): Promise<number> => {
    produced();
    if (values.length > 3) throw brokerSays('MESSAGE_TOO_LARGE');
    return 0;
  };
  const { writer } = openWriter(takesThree, () => 180);
  expect(await outcomeOf(writer.append(together(['a', 'b', 'c', 'd'])))).toBe('batch-invalid');
  expect(await outcomeOf(writer.append(together(['a', 'b', 'c'])))).toBe(0);
  await writer.close(100);
});

test('records together are withdrawn when none was sent, and unknown when the request has left', async () => {
  const sent: string[][] = [];
  let way: 'unsent' | 'lost' | 'answered' = 'unsent';
  const { writer } = openWriter(async (values, produced) => {
    if (way === 'unsent') throw new Error('no connection');
    produced();
    sent.push([...values]);
    if (way === 'lost') throw new Error('the connection was lost');
    return 0;
  });
  expect(await outcomeOf(writer.append(together(['a', 'b']), AbortSignal.timeout(100)))).toBe('log-unavailable');
  way = 'lost';
  expect(await outcomeOf(writer.append(together(['c', 'd']), AbortSignal.timeout(100)))).toBe('unknown-outcome');
  way = 'answered';
  await expect.poll(() => writer.append(together(['e', 'f'])).then(() => sent.at(-1))).toEqual(['e', 'f']);
  // Repeated as it was, until it was answered.
  expect(sent.slice(0, -1).every((values) => values.join() === 'c,d')).toBe(true);
  await writer.close(100);
});

test('when the topic is sealed, a batch that is refused and all that wait hear of it, none of them again', async () => {
  const sent: string[][] = [];
  const { writer } = openWriter(
    async (values, produced) => {
      sent.push([...values]);
      produced();
      throw brokerSays('MESSAGE_TOO_LARGE');
    },
    () => 0,
  );
  const outcomes = Array.from({ length: 80 }, (_, i) => outcomeOf(writer.append([newRecord('k', `${i}`.padEnd(1_000, 'x'))])));
  expect(new Set(await Promise.all(outcomes))).toEqual(new Set(['log-sealed']));
  expect(sent).toHaveLength(1);
  await writer.close(100);
});

test('a batch that may be stored is unknown, though the topic is sealed now', async () => {
  let attempt = 0;
  const { writer } = openWriter(
    async (_values, produced) => {
      produced();
      throw ++attempt === 1 ? new Error('the connection was lost') : brokerSays('MESSAGE_TOO_LARGE');
    },
    () => 0,
  );
  expect(await outcomeOf(writer.append([newRecord('k', 'a')]))).toBe('unknown-outcome');
  expect(await outcomeOf(writer.append([newRecord('k', 'b')]))).toBe('log-sealed');
  await writer.close(100);
});

test.each([
  ['the topic does not say what it takes', undefined],
  ['the topic takes more than that by now', 1_000_000],
])('a refusal for its size that nothing explains is no fault of the record: %s', async (_, limit) => {
  const refuses = async (_values: readonly string[], produced: () => void): Promise<number> => {
    produced();
    throw brokerSays('MESSAGE_TOO_LARGE');
  };
  const { writer } = openWriter(refuses, () => limit);
  expect(await outcomeOf(writer.append([newRecord('k', 'a')]))).toBe('log-unavailable');
  await writer.close(100);
});
