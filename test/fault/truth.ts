/**
 * The log as it was read at the end is the witness: applied by the simulation's oracle, a model that shares no code with the machine,
 * it says what every record did and what stood under each key at every place.
 */
import { bytesOf } from '../../src/core/bytes.ts';
import { genesisKey } from '../../src/core/keys.ts';
import { partitionOf } from '../../src/core/partitioner.ts';
import { logOf, parsePosition, parseToken } from '../../src/core/position.ts';
import type { LogRecord, Millis, Offset } from '../../src/ports.ts';
import { isLive, Oracle, type Truth } from '../simulation/oracle.ts';
import type { LoggedRecord } from './history.ts';

/** In place of what is no record: the markers of transactions. It does nothing, and keeps places and indexes the same. */
const nothing = { key: bytesOf('\0nothing'), value: null, headers: { op: bytesOf('t') } };

export class WholeLog {
  readonly oracles: readonly Oracle[];
  readonly #records = new Map<string, LoggedRecord>();
  /** As tokens name it: by the value of the genesis record. */
  readonly name: string | undefined;

  constructor(records: readonly LoggedRecord[], partitions: number, lagMs: number) {
    this.oracles = Array.from({ length: partitions }, () => new Oracle(lagMs));
    const inOrder = [...records].sort((a, b) => a.partition - b.partition || a.offset - b.offset);
    for (const record of inOrder) {
      const oracle = this.oracles[record.partition] as Oracle;
      if (record.offset < oracle.next) continue;
      while (oracle.next < record.offset) oracle.append({ ...nothing, offset: oracle.next as Offset, time: record.time as Millis });
      oracle.append(asLogged(record));
      this.#records.set(`${record.partition}:${record.offset}`, record);
    }
    const genesis = inOrder.find(({ key }) => key === genesisKey);
    this.name = genesis === undefined ? undefined : logOf(genesis.value ?? '');
  }

  partitionOf(key: string): number {
    return partitionOf(bytesOf(key), this.oracles.length);
  }

  of(key: string): Oracle {
    return this.oracles[this.partitionOf(key)] as Oracle;
  }

  /** The record at a version. */
  record(version: string): LoggedRecord | undefined {
    return this.#records.get(version);
  }

  get records(): Iterable<LoggedRecord> {
    return this.#records.values();
  }

  /** The record had its effect. */
  isWritten({ partition, offset }: LoggedRecord): boolean {
    return this.oracles[partition]?.verdicts[offset]?.outcome === 'written';
  }

  /** How far a token goes in the key's partition; -1: nothing of it. */
  seenOf(key: string, token: string | undefined): number {
    return seenIn(token, this.partitionOf(key));
  }
}

export function seenIn(token: string | undefined, partition: number): number {
  return parseToken(token ?? '')?.positions.find((position) => position.partition === partition)?.offset ?? -1;
}

export function offsetOf(version: string): number {
  return parsePosition(version)?.offset ?? -1;
}

/** An answer at some time from `from` to `to`, of clocks that may be wrong by `skewMs`, fits what stood there. */
export function fits(
  truth: Truth,
  partition: number,
  answer: { readonly value?: string | undefined; readonly version?: string | undefined; readonly from: number; readonly to: number },
  skewMs: number,
): boolean {
  // Times are told in whole milliseconds.
  const mayBeGone = !isLive(truth, answer.to + skewMs + 1);
  if (answer.value === undefined) return mayBeGone;
  const mayBeLive = isLive(truth, answer.from - skewMs - 1);
  return mayBeLive && truth.value === answer.value && answer.version === `${partition}:${truth.version}`;
}

function asLogged({ offset, time, key, value, headers }: LoggedRecord): LogRecord {
  return {
    offset: offset as Offset,
    time: time as Millis,
    key: bytesOf(key),
    value: value === null ? null : bytesOf(value),
    headers: Object.fromEntries(Object.entries(headers).map(([name, text]) => [name, bytesOf(text)])),
  };
}
