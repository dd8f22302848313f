/** Writes held against the log: none acknowledged is lost, none that failed is there, conditions were decided at one place in it. */
import { grouped } from './grouped.ts';
import type { History, LoggedRecord, Operation, Violation } from './history.ts';
import { isUserKey } from './keyspace.ts';
import type { Known } from './known.ts';
import { offsetOf, type WholeLog } from './truth.ts';

export function checkWrites(history: History, log: WholeLog, known: Known): Violation[] {
  const writes = history.operations.filter(({ kind }) => kind !== 'get');
  const requests = grouped(writes, requestOf);
  const records = grouped([...log.records].filter(isWrite), recordOf);
  return [
    ...[...requests].flatMap(([request, attempts]) => checkRequest(attempts, records.get(request) ?? [], log, known)),
    ...checkRecords(requests, records, log),
    ...checkWinners(writes),
  ];
}

/**
 * What one request and its repetitions have in common with their records; a delete without an idempotency key shows in the log as any
 * other of its key.
 */
function requestOf({ kind, key, value, idempotencyKey }: Operation): string {
  if (idempotencyKey !== undefined) return `${key} ${idempotencyKey}`;
  return kind === 'put' ? `${key}=${value}` : `${key} deleted`;
}

function recordOf({ key, value, headers }: LoggedRecord): string {
  const { ik, op } = headers;
  if (ik !== undefined) return `${key} ${ik}`;
  return op === 'd' || op === 'cd' ? `${key} deleted` : `${key}=${value}`;
}

/** A caller's write: neither a statement, a tombstone, nor the question of a node in doubt. */
function isWrite({ key, headers }: LoggedRecord): boolean {
  return isUserKey(key) && !['s', 'sd', 't'].includes(headers['op'] ?? '') && headers['if'] !== 'never';
}

const isAnonymous = ({ kind, idempotencyKey }: Operation): boolean => kind === 'delete' && idempotencyKey === undefined;

function checkRequest(attempts: readonly Operation[], own: readonly LoggedRecord[], log: WholeLog, known: Known): Violation[] {
  const first = attempts[0] as Operation;
  const wrong = attempts.flatMap((attempt) => {
    switch (attempt.outcome) {
      case 'ok':
        return checkDone(attempt, own, log, known);
      case 'refused':
        return checkRefused(attempt, first, own, log, known);
      default:
        return [];
    }
  });
  if (isAnonymous(first)) return wrong;
  if (own.length > 0 && attempts.every(({ outcome }) => outcome === 'failed'))
    wrong.push({ rule: 'a write that was said not to be in the log is in it', detail: told(first) });
  if (own.filter((record) => log.isWritten(record)).length > 1)
    wrong.push({ rule: 'a request had its effect twice', detail: `${told(first)} at ${own.map(({ offset }) => offset).join(', ')}` });
  return wrong;
}

/** A delete is answered with a position, not with a version. */
function placeOf(write: Operation, log: WholeLog): string {
  return write.version ?? `${log.partitionOf(write.key)}:${log.seenOf(write.key, write.position)}`;
}

function checkDone(write: Operation, own: readonly LoggedRecord[], log: WholeLog, known: Known): Violation[] {
  // Where the answer to a repetition is an old one, its token may name what the caller has seen since.
  if (write.kind === 'delete' && write.idempotencyKey !== undefined)
    return own.some((record) => log.isWritten(record)) ? [] : [{ rule: 'an acknowledged write is not in the log', detail: told(write) }];
  const place = placeOf(write, log);
  const record = log.record(place);
  const what = `${told(write)} at ${place}`;
  if (record === undefined) return [{ rule: 'an acknowledged write is not in the log', detail: what }];
  if (record.key !== write.key || recordOf(record) !== requestOf(write) || (write.kind === 'put' && record.value !== write.value))
    return [{ rule: 'a write was acknowledged at the place of another', detail: `${what}: ${JSON.stringify(record)}` }];
  if (!log.isWritten(record)) return [{ rule: 'a write was acknowledged that had no effect', detail: what }];
  if (write.idempotencyKey === undefined && record.offset <= known.floor(record.partition, write.began))
    return [{ rule: 'a write was acknowledged at a place before it began', detail: what }];
  return [];
}

function checkRefused(write: Operation, first: Operation, own: readonly LoggedRecord[], log: WholeLog, known: Known): Violation[] {
  if (!isAnonymous(write) && own.some((record) => log.isWritten(record)))
    return [{ rule: 'a write was told to be refused that is written', detail: told(write) }];
  const partition = log.partitionOf(write.key);
  // Everything up to the floor was there when it began, so the state of then is the first that it may have met.
  const from = known.floor(partition, first.began) + 1;
  const to = Math.min(known.ceiling(partition, write.ended), log.of(write.key).next);
  const { condition, current } = write;
  const stoodInTheWay = log
    .of(write.key)
    .between(write.key, from, to)
    .some((truth) => {
      const gone = truth.deleted || truth.expires !== 0;
      const shown = current === null ? gone : !truth.deleted && current === `${partition}:${truth.version}`;
      if (condition === 'absent') return shown && current !== null;
      if (condition === 'present') return shown && current === null;
      return shown && current !== condition;
    });
  return stoodInTheWay ? [] : [{ rule: 'a condition was told to fail that never did', detail: `${told(write)}, places ${from} to ${to}` }];
}

/** What is in the log was asked for. */
function checkRecords(
  requests: ReadonlyMap<string, unknown>,
  records: ReadonlyMap<string, readonly LoggedRecord[]>,
  log: WholeLog,
): Violation[] {
  return [...records].flatMap(([request, found]) =>
    requests.has(request) || !found.some((record) => log.isWritten(record))
      ? []
      : [{ rule: 'the log holds a write that nobody asked for', detail: JSON.stringify(found[0]) }],
  );
}

/** Of those who expect one version only one can succeed, whatever the log says: this needs no witness. */
function checkWinners(writes: readonly Operation[]): Violation[] {
  const won = writes.filter(({ outcome, condition }) => outcome === 'ok' && offsetOf(condition ?? '') >= 0);
  return [...grouped(won, ({ key, condition }) => `${key} at ${condition}`)].flatMap(([expected, winners]) =>
    new Set(winners.map((winner) => (isAnonymous(winner) ? winner.position : requestOf(winner)))).size > 1
      ? [{ rule: 'two writes succeeded that expected the same version', detail: `${expected}: ${winners.map(told).join(' and ')}` }]
      : [],
  );
}

export function told(operation: Operation): string {
  return JSON.stringify(operation);
}
