/** Which log and which membership follow from what is given. */
import { describe, expect, test } from 'vitest';
import { ownAddress } from '../../src/app/config/config.ts';
import { configFrom } from './settings.ts';

const kafka = 'k:9092';
const zookeeper = 'z:2181';

describe('log and membership', () => {
  test.each<[Record<string, string>, string, string | undefined, string[]]>([
    [{}, 'embedded', undefined, ['127.0.0.1:9092']],
    [{ BROKER_LIST: kafka }, 'kafka', undefined, [kafka]],
    [{ ZOOKEEPER_HOSTS: zookeeper }, 'kafka', zookeeper, ['127.0.0.1:9092']],
    [{ BROKER_LIST: kafka, ZOOKEEPER_HOSTS: zookeeper }, 'kafka', zookeeper, [kafka]],
    [{ LOG: 'kafka' }, 'kafka', '127.0.0.1:2181', ['127.0.0.1:9092']],
    [{ LOG: 'kafka', BROKER_LIST: kafka }, 'kafka', undefined, [kafka]],
    [{ LOG: 'kafka', BITACORA_MEMBERS: 'a:1' }, 'kafka', undefined, ['127.0.0.1:9092']],
    [{ LOG: 'embedded', BROKER_LIST: kafka }, 'embedded', undefined, [kafka]],
    [{ LOG: 'memory' }, 'memory', undefined, ['127.0.0.1:9092']],
  ])('%j', (env, log, zookeeperHosts, brokers) => expect(configFrom([], env)).toMatchObject({ log, zookeeperHosts, brokers }));

  test('the same by flag and by file', () => {
    expect(configFrom(['--broker-list', kafka])).toMatchObject({ log: 'kafka', zookeeperHosts: undefined });
    expect(configFrom([], {}, `zookeeper.hosts: ${zookeeper}/chroot`)).toMatchObject({
      log: 'kafka',
      zookeeperHosts: `${zookeeper}/chroot`,
    });
  });
});

describe('what else is decided', () => {
  test('a node on its own listens to itself only, one of a cluster to all', () => {
    expect(configFrom().httpHost).toBe('127.0.0.1');
    expect(configFrom([], { BROKER_LIST: kafka }).httpHost).toBe('0.0.0.0');
    expect(configFrom(['--http-host', '::1', '--broker-list', kafka]).httpHost).toBe('::1');
  });

  test('replication 0 is left to the number of brokers', () => {
    expect(configFrom().replication).toBeUndefined();
    expect(configFrom(['--replication', '2']).replication).toBe(2);
  });

  test('the original’s defaults, and the promised limits', () => {
    expect(configFrom()).toMatchObject({
      ...{ httpPort: 8082, topic: 'bitacora', peerTimeoutMs: 60, peerReads: 'always', zookeeperRoot: '/bitacora', partitions: 8 },
      ...{ maxKeyBytes: 1_024, maxValueBytes: 1_000_000, compactionLagMs: 3_600_000, deleteRetentionMs: 604_800_000 },
    });
  });

  test('the settings cannot be changed afterwards', () => expect(Object.isFrozen(configFrom())).toBe(true));

  test('an address that others can reach is the one that is listened on, unless that is all', () => {
    expect(ownAddress('10.0.0.7')).toBe('10.0.0.7');
    expect(ownAddress('0.0.0.0')).toMatch(/^\d+\.\d+\.\d+\.\d+$/);
    expect(ownAddress('::')).not.toBe('::');
  });
});

test('a request’s headers have at most the time of the request', () => {
  expect(configFrom([], { BITACORA_REQUEST_TIMEOUT: '1000' }).headersTimeoutMs).toBe(1_000);
  expect(configFrom([], {})).toMatchObject({ headersTimeoutMs: 10_000, requestTimeoutMs: 30_000 });
});
