/** When the ends of a topic that is being sealed are asked for: not before nothing that a leader had taken can be acknowledged any more. */
import { expect, onTestFinished, test } from 'vitest';
import { BitacoraError, codeOf } from '../../src/core/errors.ts';
import type { NewRecord, Offset, Partition, PartitionBounds } from '../../src/ports.ts';
import type { Admin } from '../../storage/log/kafka/client.ts';
import { KafkaSeal } from '../../storage/log/kafka/seal.ts';
import { newRecord } from '../contract/log-harness.ts';
import { silentLogger } from '../contract/silent-logger.ts';

/** A topic of one partition, of which a write may be in the leader and not on its followers. */
function playedTopic(settleMs: number) {
  const topic = { limit: '1000', end: 5, asked: [] as number[], refusedAt: [] as number[], onAsk: () => undefined as undefined };
  const admin = {
    describeConfigs: async () => ({
      resources: [{ configEntries: [{ configName: 'max.message.bytes', configValue: topic.limit, configSource: 1 }] }],
    }),
    alterConfigs: async ({ resources }: { resources: { configEntries: { name: string; value: string }[] }[] }) => {
      topic.limit = resources[0]?.configEntries[0]?.value ?? '1000';
    },
  } as unknown as Admin;
  const seal = new KafkaSeal({
    ...{ admin, topic: 't', partitions: 1, logger: silentLogger, limits: { settleMs } },
    append: async () => {
      topic.refusedAt.push(performance.now());
      throw new BitacoraError('log-sealed', 'sealed');
    },
    bounds: async (): Promise<readonly PartitionBounds[]> => {
      topic.asked.push(performance.now());
      const next = topic.end as Offset;
      topic.onAsk();
      return [{ first: 0 as Offset, next }];
    },
  });
  onTestFinished(() => seal.close());
  const probe = (_: Partition): NewRecord => newRecord('\0probe', '');
  const keep = async (): Promise<void> => void topic.end++;
  return { topic, seal, close: () => seal.seal({ keep, probe }) };
}

const settleMs = 200;

test('a write that reaches the followers after the leader has refused the probe stands before the ends', async () => {
  const { topic, close } = playedTopic(settleMs);
  let late = false;
  topic.onAsk = () => {
    // Between the refusal and the end of the wait its producer is told that it is in the log.
    if (!late) topic.end++;
    late = true;
  };
  expect(await close()).toEqual([7]);
  const [refused = 0, counted = 0] = [topic.refusedAt.at(-1), topic.asked.at(-1)];
  expect(counted - refused).toBeGreaterThanOrEqual(settleMs - 5);
});

test('asked again, the same ends are told without another wait, and others only after one', async () => {
  const { topic, seal, close } = playedTopic(settleMs);
  expect(await close()).toEqual([6]);
  let asked = topic.asked.length;
  expect(await close()).toEqual([6]);
  expect(topic.asked.length).toBe(asked + 1);

  // Somebody else has opened it, written, and closed it again.
  topic.end = 9;
  asked = topic.asked.length;
  expect(await close()).toEqual([9]);
  const [first = 0, last = 0] = topic.asked.slice(asked);
  expect(last - first).toBeGreaterThanOrEqual(settleMs - 5);
  expect(seal.sealed).toBe(true);
});

test('a log that is closed meanwhile does not wait to the end', async () => {
  const { topic, seal, close } = playedTopic(600_000);
  const sealing = close().then(
    () => 'sealed',
    (error) => codeOf(error),
  );
  await expect.poll(() => topic.asked.length).toBe(1);
  seal.close();
  expect(await sealing).toBe('closed');
});
