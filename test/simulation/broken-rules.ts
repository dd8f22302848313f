/** The rules, each broken on purpose, at the wall between a node and its log or disk where it can be: what the simulation must notice. */
import { asciiBytes } from '../../src/core/bytes.ts';
import type { LogRecord, NewRecord, Offset } from '../../src/ports.ts';
import { ApplyLoop } from '../../src/replica/apply-loop.ts';
import { WatchQueue } from '../../src/replica/watch-queue.ts';
import { Watching } from '../../src/replica/watching.ts';
import type { WorldOptions } from './world-options.ts';

const dayMs = 24 * 3_600_000;

const opOf = ({ headers }: NewRecord | LogRecord): string => Buffer.from((headers?.['op'] as Uint8Array | undefined) ?? []).toString();
const isStatement = (record: NewRecord): boolean => ['s', 'sd'].includes(opOf(record));
const isDelete = (record: NewRecord): boolean => opOf(record) === 'd' && !Object.hasOwn(record.headers, 'tx');
const isConditional = (record: LogRecord): boolean => ['c', 'cd'].includes(opOf(record));

/** A record as if it were no member of an atomic batch. */
function alone(record: LogRecord): LogRecord {
  if (record.headers?.['tx'] === undefined) return record;
  const { tx: _tx, ...headers } = record.headers;
  return { ...record, headers };
}

/** Changes headers of the statements that a node writes. */
const statementsWith = (headers: Record<string, string>) => ({
  append: (record: NewRecord): NewRecord =>
    isStatement(record)
      ? {
          ...record,
          headers: { ...record.headers, ...Object.fromEntries(Object.entries(headers).map(([name, text]) => [name, asciiBytes(text)])) },
        }
      : record,
});

/** Puts another method in the place of one, for as long as a world lasts. */
const instead =
  <T extends object, Name extends keyof T>(of: T, name: Name, make: (original: T[Name]) => T[Name]) =>
  (): (() => void) => {
    const original = of[name];
    of[name] = make(original);
    return () => {
      of[name] = original;
    };
  };

/** How a rule is broken, and a seed whose world notices. */
interface BrokenRule {
  readonly seed: number;
  readonly changes: Partial<WorldOptions>;
}

export const brokenRules: Readonly<Record<string, BrokenRule>> = {
  'no statements': { seed: 1, changes: { broken: { append: (record) => (isStatement(record) ? undefined : record) } } },
  'statements that do not say up to where their author knew the key': {
    seed: 1,
    changes: { broken: statementsWith({ asof: '999999999' }) },
  },
  'no doubt after a jump in offsets': { seed: 5, changes: { broken: { batch: (batch) => ({ ...batch, jumped: false }) } } },
  // It takes a key that is deleted and left alone until it is swept, while a statement of its value is still on its way.
  'late statements are adopted': {
    seed: 1,
    changes: {
      ...{ keys: 12, clients: 4, compactionLagMs: 8_000, durationMs: 600_000, duplicates: 0 },
      broken: statementsWith({ at: '9999999999999' }),
    },
  },
  'expiry by the node’s clock in conditions': {
    seed: 1,
    changes: {
      broken: {
        batch: (batch, now) => ({
          ...batch,
          records: batch.records.map((record) => (isConditional(record) ? { ...record, time: now as LogRecord['time'] } : record)),
        }),
      },
    },
  },
  'members of a batch decided each on its own': {
    seed: 4,
    changes: { broken: { batch: (batch) => ({ ...batch, records: batch.records.map(alone) }) } },
  },
  'a barrier shared with reads that came later': { seed: 1, changes: { broken: { barrier: true } } },
  // With markers it does no harm that the log forgets nulls sooner than the nodes believe: there are none but those of the sweeps.
  'null instead of a marker': {
    seed: 5,
    changes: {
      ...{ deleteRetentionMs: 5_000, sweeps: false, keys: 8, clients: 3, compactionLagMs: 8_000 },
      broken: {
        append: (record) => (isDelete(record) ? { ...record, value: null, headers: {} } : record),
        identity: (identity) => ({ ...identity, deleteRetentionMs: dayMs }),
      },
    },
  },
  'the checkpoint apart from the data': { seed: 25, changes: { broken: { checkpointFirst: true } } },
  'fates that are not stored': { seed: 2, changes: { broken: { stored: (batch) => ({ ...batch, fates: new Map() }) } } },
  'fates of a node in doubt taken for certain': {
    seed: 2,
    changes: {
      broken: {
        heart: instead(
          ApplyLoop.prototype,
          'fate',
          (fate) =>
            function (this: ApplyLoop, partition, offset) {
              return fate.call(this, partition, offset) === 'ignored' ? 'ignored' : undefined;
            },
        ),
      },
    },
  },
  'fates that are not asked for where the log is read': {
    seed: 1,
    changes: { broken: { heart: instead(ApplyLoop.prototype, 'fate', () => () => undefined) } },
  },
  // It takes a store made anew from a log of which compaction has left a write that was refused, before what it has removed.
  'fates that are believed from before a jump': {
    seed: 94,
    changes: {
      ...{ keys: 2, compactionLagMs: 8_000, clients: 5, watchers: 0, partitions: 1, durationMs: 480_000 },
      broken: { heart: instead(ApplyLoop.prototype, 'fatesFrom', () => () => 0 as Offset) },
    },
  },
  'a stretch of the log that is taken for whole': {
    seed: 1,
    changes: { broken: { stretch: (batch) => ({ ...batch, jumped: false }) } },
  },
  'a queue of a watcher that drops what it has no room for': {
    seed: 3,
    changes: { broken: { heart: instead(WatchQueue.prototype, 'lose', () => WatchQueue.prototype.begin) } },
  },
  'watchers led past what is in doubt': {
    seed: 11,
    changes: {
      broken: {
        heart: instead(
          Watching.prototype,
          'applied',
          (applied) =>
            function (this: Watching, partition, first, next, changes) {
              applied.call(
                this,
                partition,
                first,
                next,
                changes?.filter(({ learned }) => !learned),
              );
            },
        ),
      },
    },
  },
};
