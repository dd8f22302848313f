/** What a fake server answers when its test has not said otherwise: what a node would. */
import { BitacoraError } from '../../src/core/errors.ts';
import { type Answer, answerBranch, failureBranch, type Put, type Seen, type Written, writtenBranch } from '../../wire/avro/messages.ts';
import type { FakeRecord } from './fake-log.ts';
import { type Answers, type FakeServer, failureOf } from './fake-server.ts';

export function answersOf(server: FakeServer): Answers {
  const { replica } = server;
  const { log } = replica;
  const { genesis } = log;

  async function read(key: string, seen: Seen): Promise<Answer> {
    if (seen.positions.length > 0 && seen.genesis !== genesis) throw new BitacoraError('position-foreign', 'of another log');
    const partition = log.partitionOf(key);
    const position = seen.positions.find((place) => place.partition === partition);
    if (position !== undefined && !(await replica.reach(partition, position.offset, server.positionWaitMs))) {
      throw new BitacoraError('position-not-reached', 'not applied yet');
    }
    const applied = { partition, offset: replica.applied[partition] as number };
    return { found: found(replica.get(key)), source: 1, applied, genesis };
  }
  const written = ({ partition, offset, uuid }: FakeRecord): Written => ({ position: { partition, offset }, uuid, genesis });
  const put = ({ key, value, contentType, ttl }: Put): Written => written(log.append(key, value, { contentType, ttl }));

  return {
    getValue: ({ key }) => replica.get(key)?.value?.toString() ?? null,
    setValue: ({ key, value }) => {
      log.append(key, Buffer.from(value));
      return null;
    },
    delete: ({ key }) => {
      log.append(key, undefined);
      return null;
    },
    getNode: () => ({
      node: server.address,
      state: 'ready',
      genesis,
      partitions: log.partitions,
      maxKeyBytes: 1_024,
      maxValueBytes: 1_000_000,
      maxFrameBytes: 2_000_000,
      ...server.node,
    }),
    getRecord: ({ key, seen }) => read(key, seen),
    setRecord: ({ put: one }) => put(one),
    deleteRecord: ({ key }) => written(log.append(key, undefined)),
    getMany: ({ keys, seen }) =>
      Promise.all(
        keys.map((key) =>
          read(key, seen).then(
            (answer) => ({ [answerBranch]: answer }),
            (error) => ({ [failureBranch]: failureOf(error) }),
          ),
        ),
      ),
    setMany: ({ puts }) => puts.map((one) => ({ [writtenBranch]: put(one) })),
  };
}

function found(record: FakeRecord | undefined): Answer['found'] {
  if (record?.value === undefined) return null;
  const { value, contentType, partition, offset, timestamp, expires, uuid } = record;
  return { value, contentType, version: { partition, offset }, timestamp, expires, uuid };
}
