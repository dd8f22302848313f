/** The rules, each broken on purpose at the wall between a node and its log or disk: what the simulation must notice. */
import { asciiBytes } from '../../src/core/bytes.ts';
import type { LogRecord, NewRecord } from '../../src/ports.ts';
import type { WorldOptions } from './world.ts';

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

/** How a rule is broken, and a seed whose world notices. */
interface BrokenRule {
  readonly seed: number;
  readonly changes: Partial<WorldOptions>;
}

export const brokenRules: Readonly<Record<string, BrokenRule>> = {
  'no statements': { seed: 1, changes: { broken: { append: (record) => (isStatement(record) ? undefined : record) } } },
  'statements that do not say up to where their author knew the key': {
    seed: 2,
    changes: { broken: statementsWith({ asof: '999999999' }) },
  },
  'no doubt after a jump in offsets': { seed: 9, changes: { broken: { batch: (batch) => ({ ...batch, jumped: false }) } } },
  // It takes a key that is deleted and left alone until it is swept, while a statement of its value is still on its way.
  'late statements are adopted': {
    seed: 10,
    changes: {
      ...{ keys: 12, clients: 4, compactionLagMs: 8_000, durationMs: 600_000, duplicates: 0 },
      broken: statementsWith({ at: '9999999999999' }),
    },
  },
  'expiry by the node’s clock in conditions': {
    seed: 120,
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
    seed: 9,
    changes: { broken: { batch: (batch) => ({ ...batch, records: batch.records.map(alone) }) } },
  },
  'a barrier shared with reads that came later': { seed: 1, changes: { broken: { barrier: true } } },
  // With markers it does no harm that the log forgets nulls sooner than the nodes believe: there are none but those of the sweeps.
  'null instead of a marker': {
    seed: 1,
    changes: {
      ...{ deleteRetentionMs: 5_000, sweeps: false, keys: 8, clients: 3, compactionLagMs: 8_000 },
      broken: {
        append: (record) => (isDelete(record) ? { ...record, value: null, headers: {} } : record),
        identity: (identity) => ({ ...identity, deleteRetentionMs: dayMs }),
      },
    },
  },
  'the checkpoint apart from the data': { seed: 5, changes: { broken: { checkpointFirst: true } } },
};
