/** What a fetcher makes of a broker's answers: empty batches, silence, errors, and connections that come and go. */
import { afterEach, expect, test } from 'vitest';
import type { Offset } from '../../src/ports.ts';
import { Fetcher, type FetchLimits } from '../../storage/log/kafka/fetcher.ts';
import { defaultStretchLimits, Stretches } from '../../storage/log/stretch-shared.ts';
import { failure, range } from '../contract/log-harness.ts';
import { silentLogger } from '../contract/silent-logger.ts';
import { batchBytes, type PartitionToEncode } from './kafka-bytes.ts';
import { playedKafka } from './played-kafka.ts';

type Told = Omit<PartitionToEncode, 'partition'>;
/** The answer to a fetch from an offset of at most so many bytes; undefined: the broker asks for a pause. */
type Answer = (from: number, maxBytes: number, partition: number) => Promise<Told | undefined>;

/** Each offset a batch of its own. */
const answer = (offsets: readonly number[], end: number): Told => ({
  end,
  batches: Buffer.concat(offsets.map((offset) => batchBytes({ records: [{ offset }] }))),
});

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

/** A fetcher on clients whose answers the test plays, of two partitions from 0 to `end`, each on a broker of its own. */
function openFetcher(end: number, play: Answer, limits: Partial<FetchLimits> = {}) {
  const atOnce = { now: 0, most: 0 };
  const { newClient, counts } = playedKafka([1, 2], async ({ partitions, maxBytes }) => {
    const { partition, from } = partitions[0]!;
    expect(partitions).toHaveLength(1);
    atOnce.now += 1;
    atOnce.most = Math.max(atOnce.most, atOnce.now);
    try {
      const told = await play(from, maxBytes, partition);
      return told === undefined ? [] : [{ partition, ...told }];
    } finally {
      atOnce.now -= 1;
    }
  });
  const fetcher = new Fetcher({
    topic: 't',
    limits: { fetchPatienceMs: 5_000, fetchIdleMs: 60_000, ...limits },
    newClient,
    bounds: async () => [0, 1].map(() => ({ first: 0 as Offset, next: end as Offset })),
    logger: silentLogger,
  });
  const stretches = new Stretches(defaultStretchLimits, () => fetcher.stretch());
  closing.push(() => {
    stretches.close();
    fetcher.close();
  });
  const read = async (from: number, to: number, partition = 0) => {
    const batches = [];
    for await (const { first, next, jumped, records } of stretches.read(range(partition, from, to)))
      batches.push({ first, next, jumped, offsets: records.map(({ offset }) => offset) });
    return batches;
  };
  return { read, counts, atOnce, stretches };
}

test('an empty batch at the end of the log is stepped over, and told as a jump', async () => {
  const { read, counts } = openFetcher(1_000_000, async (from) => answer(from < 5 ? [from] : [], 1_000_000));
  expect((await read(3, 1_000_000)).slice(-2)).toEqual([
    { first: 4, next: 5, jumped: false, offsets: [4] },
    { first: 5, next: 1_000_000, jumped: true, offsets: [] },
  ]);
  expect(counts.fetches).toBe(3);
});

test('what an empty batch speaks for is told as a jump, up to the end of the stretch', async () => {
  const { read } = openFetcher(300, async () => ({ end: 300, batches: batchBytes({ records: [], base: 2, last: 200 }) }));
  expect(await read(3, 150)).toEqual([{ first: 3, next: 150, jumped: true, offsets: [] }]);
});

test('a batch that is not as it was written is asked for again, and never served', async () => {
  let broken = 2;
  const { read, counts } = openFetcher(2, async (from) => {
    const told = answer([from], 2);
    if (broken-- > 0) told.batches[told.batches.length - 2]! ^= 1;
    return told;
  });
  expect((await read(0, 2)).map(({ offsets }) => offsets)).toEqual([[0], [1]]);
  expect(counts.clients).toBe(3);
});

test('a record is not stepped over because its transaction is not decided, or a new leader does not know the end', async () => {
  let end = 1;
  const { read } = openFetcher(3, async (from) => {
    const known = end;
    if (from >= known) end = 3;
    return answer(from < known ? [from] : [], known);
  });
  expect(await read(0, 3)).toMatchObject([{ offsets: [0] }, { offsets: [1] }, { offsets: [2] }]);
});

test('fetches are larger from one to the next, up to a bound', async () => {
  const asked: number[] = [];
  const { read } = openFetcher(6, async (from, maxBytes) => {
    asked.push(maxBytes / 1024);
    return answer([from], 6);
  });
  await read(0, 6);
  expect(asked).toEqual([64, 128, 256, 512, 512, 512]);
});

test('after a failure, or an answer without the partition, it is asked again where it was', async () => {
  const troubles = [new Error('NOT_LEADER_FOR_PARTITION'), undefined, new Error('connection closed')];
  const { read, counts } = openFetcher(3, async (from) => {
    const trouble = from === 1 && troubles.length > 0 ? troubles.shift() : 'none';
    if (trouble instanceof Error) throw trouble;
    return trouble === undefined ? undefined : answer([from], 3);
  });
  expect((await read(0, 3)).map(({ offsets }) => offsets)).toEqual([[0], [1], [2]]);
  // Each failure costs the connections; a pause does not.
  expect(counts.clients).toBe(3);
});

test('a failure of one stretch does not cut off what another is waiting for', async () => {
  let release: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  let failures = 0;
  const { read, counts } = openFetcher(2, async (from, _, partition) => {
    if (partition === 1 && failures++ < 2) throw new Error('NOT_LEADER_FOR_PARTITION');
    if (partition === 0) await gate;
    return answer([from], 2);
  });
  const slow = read(0, 1);
  await expect.poll(() => counts.fetches).toBe(1);
  expect(await read(0, 2, 1)).toHaveLength(2);
  // The one that was used no more has waited; the other of the two failures was cut.
  expect(counts).toMatchObject({ clients: 3, cuts: 1 });
  release();
  expect(await slow).toHaveLength(1);
  expect(counts).toMatchObject({ clients: 3, cuts: 2, fetches: 5 });
});

test('a broker that never answers is given up after the patience, and its connections with it', async () => {
  let silent = true;
  const { read, counts } = openFetcher(3, async (from) => (silent ? new Promise(() => undefined) : answer([from], 3)), {
    fetchPatienceMs: 150,
  });
  expect(await failure(read(0, 3))).toBe('log-unavailable');
  silent = false;
  expect(await read(0, 3)).toHaveLength(3);
  expect(counts.clients).toBe(2);
});

test('a broker is sent one fetch at a time, and whoever has gone away none', async () => {
  let release: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  const { read, counts, atOnce, stretches } = openFetcher(1, async (from) => {
    await gate;
    return answer([from], 1);
  });
  const first = read(0, 1);
  await expect.poll(() => counts.fetches).toBe(1);
  const gone = new AbortController();
  const second = failure(stretches.read(range(0, 0, 1), gone.signal).next());
  const third = read(0, 1);
  gone.abort();
  expect(await second).toBe('closed');
  release();
  expect(await Promise.all([first, third])).toHaveLength(2);
  expect(counts).toMatchObject({ fetches: 2, clients: 1 });
  expect(atOnce.most).toBe(1);
});

test('idle connections are closed, and made again for the next', async () => {
  const { read, counts } = openFetcher(1, async (from) => answer([from], 1), { fetchIdleMs: 10 });
  await read(0, 1);
  await expect.poll(() => counts.cuts).toBe(1);
  await read(0, 1);
  expect(counts.clients).toBe(2);
});
