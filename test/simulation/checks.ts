/** What clients were told, held against the truth; and whether nodes agree with it when all has come to rest. */

import { genesisKey } from '../../src/core/keys.ts';
import type { Consistency, Expectation } from '../../src/ports.ts';
import type { SimulatedNode } from './node.ts';
import { headerOf, nothingEver, type Oracle, type Truth } from './oracle.ts';
import type { World } from './world.ts';

export interface ReadCheck {
  readonly kind: 'read';
  readonly client: string;
  readonly node: string;
  readonly key: string;
  readonly consistency: Consistency;
  readonly source: string;
  /** The answer shows everything before some place from `least` to `most`. */
  readonly least: number;
  readonly most: number;
  /** The node says that its answers are of some point in time. */
  readonly vouched: boolean;
  readonly value: string | undefined;
  readonly version: number | undefined;
  readonly from: number;
  readonly to: number;
}

export interface WriteCheck {
  readonly kind: 'write';
  readonly client: string;
  readonly node: string;
  readonly key: string;
  readonly deletes: boolean;
  readonly value: string;
  readonly condition: Expectation | undefined;
  readonly idempotent: boolean;
  readonly retried: boolean;
  readonly expires: number;
  /** Ends of the partition when it began and when it was answered. */
  readonly began: number;
  readonly ended: number;
  readonly told: 'written' | 'refused' | 'failed' | 'unknown';
  readonly version?: number;
  readonly current?: number;
  readonly code?: string;
}

export interface MemberCheck {
  readonly key: string;
  readonly deletes: boolean;
  readonly value: string;
  readonly condition: Expectation | undefined;
  /** 0: for ever. */
  readonly expires: number;
}

/** An atomic batch. */
export interface BatchCheck {
  readonly kind: 'batch';
  readonly client: string;
  readonly node: string;
  /** Of the first member: all are in its partition. */
  readonly key: string;
  readonly members: readonly MemberCheck[];
  readonly began: number;
  readonly ended: number;
  readonly told: 'written' | 'refused' | 'failed' | 'unknown';
  readonly versions?: readonly number[];
  /** The key that stood in the way, and what was there. */
  readonly refused?: string;
  readonly current?: number;
  readonly code?: string;
}

export type Check = ReadCheck | WriteCheck | BatchCheck;

export function checkAll(world: World): string[] {
  // Of what was given up with its connection nobody was told anything; it may come behind what was sent later.
  const overtaken = world.oracles
    .flatMap((oracle) => oracle.overtaken)
    .filter((by) => !world.givenUp.has(by))
    .map((by) => `${by} is no repetition, and is ignored as one`);
  const untrue = world.checks.flatMap((check) => {
    const oracle = world.oracleOf(check.key);
    const wrong =
      check.kind === 'read'
        ? wrongRead(check, oracle, world)
        : check.kind === 'batch'
          ? wrongBatch(check, oracle)
          : wrongWrite(check, oracle);
    return wrong === undefined ? [] : [`${wrong}: ${JSON.stringify(check)}`];
  });
  return [...overtaken, ...untrue];
}

function wrongRead(check: ReadCheck, oracle: Oracle, world: World): string | undefined {
  if (!check.vouched) return undefined;
  const { skewMs } = world.options;
  const matches = (truth: Truth): boolean => {
    const mayBeLive = !truth.deleted && (truth.expires === 0 || truth.expires > check.from - skewMs);
    const mayBeGone = truth.deleted || (truth.expires !== 0 && truth.expires <= check.to + skewMs);
    return check.value === undefined ? mayBeGone : mayBeLive && truth.value === check.value && truth.version === check.version;
  };
  if (oracle.between(check.key, check.least, check.most).some(matches)) return undefined;
  return `a ${check.consistency} read was told what never was between ${check.least} and ${check.most}`;
}

function wrongWrite(check: WriteCheck, oracle: Oracle): string | undefined {
  const own = ownOf(check.value, oracle);
  switch (check.told) {
    case 'written': {
      const verdict = oracle.verdicts[check.version as number];
      if (verdict === undefined || verdict.outcome !== 'written') return 'a write was acknowledged that is not';
      if (!check.retried && (check.version as number) < check.began) return 'a write was acknowledged at a place before it began';
      // A repetition that comes too late for its idempotency key is a write of its own.
      if (!check.deletes && textOf(oracle, check.version as number) !== check.value)
        return 'a write was acknowledged at another place than its own';
      return undefined;
    }
    case 'refused':
      // What is refused with an idempotency key is refused by a record: of an earlier attempt nothing else may come later.
      if (!check.deletes && (check.idempotent ? !own.some((offset) => isRefused(offset, oracle)) : isWritten(own, oracle)))
        return 'a write was told to be refused that is not';
      return refusedRightly(check, oracle) ? undefined : 'a condition was told to fail that never did';
    case 'failed':
      return own.length === 0 || check.deletes ? undefined : 'a write that was said not to be in the log is in it';
    case 'unknown':
      return undefined;
  }
}

function wrongBatch(check: BatchCheck, oracle: Oracle): string | undefined {
  const { members, began, ended, current, versions = [] } = check;
  const own = members.filter(({ deletes }) => !deletes).flatMap(({ value }) => ownOf(value, oracle));
  const outcomes = new Set(own.map((offset) => oracle.verdicts[offset]?.outcome).filter((outcome) => outcome !== 'ignored'));
  if (outcomes.size > 1) return 'a batch was written in part';
  switch (check.told) {
    case 'written':
      if (versions.some((version) => version < began || oracle.verdicts[version]?.outcome !== 'written'))
        return 'a batch was acknowledged that is not written';
      if (members.some(({ deletes, value }, i) => !deletes && textOf(oracle, versions[i] as number) !== value))
        return 'a batch was acknowledged at another place than its own';
      return undefined;
    case 'refused': {
      if (isWritten(own, oracle)) return 'a batch was told to be refused that is written';
      const refused = members.find(({ key }) => key === check.refused);
      const { condition } = refused ?? {};
      if (refused === undefined || condition === undefined) return 'a batch was told to be refused because of a key without a condition';
      return refusedRightly({ key: refused.key, condition, current, began, ended }, oracle)
        ? undefined
        : 'a condition of a batch was told to fail that never did';
    }
    case 'failed':
      return own.length === 0 ? undefined : 'a batch that was said not to be in the log is in it';
    case 'unknown':
      return undefined;
  }
}

/** Where records with a value stand; nobody else writes the same. */
function ownOf(value: string, oracle: Oracle): number[] {
  return oracle.records.flatMap((record) =>
    record.value !== null && headerOf(record, 'asof') === undefined && Buffer.from(record.value).toString() === value ? record.offset : [],
  );
}

function isRefused(offset: number, oracle: Oracle): boolean {
  return oracle.verdicts[offset]?.outcome === 'refused';
}

function isWritten(offsets: readonly number[], oracle: Oracle): boolean {
  return offsets.some((offset) => oracle.verdicts[offset]?.outcome === 'written');
}

function textOf(oracle: Oracle, offset: number): string {
  return Buffer.from(oracle.records[offset]?.value ?? []).toString();
}

/** The version told stood there at some place between, and the condition failed there. Expiry is decided by the log's time: not looked at. */
function refusedRightly(
  check: Pick<WriteCheck, 'key' | 'condition' | 'began' | 'ended'> & { readonly current?: number | undefined },
  oracle: Oracle,
): boolean {
  const { condition, current } = check;
  return oracle.between(check.key, check.began, check.ended).some((truth) => {
    const gone = truth.deleted || truth.expires !== 0;
    const shown = current === -1 ? gone : truth.version === current && !truth.deleted;
    if (condition === 'absent') return shown && current !== -1;
    if (condition === 'present') return shown && current === -1;
    return shown && (current === -1 || current !== condition?.offset);
  });
}

/** Each node holds the truth of every key, settled and in no doubt, and all hold the same. */
export function converged(world: World): string[] {
  const wrong = world.nodes.flatMap((node) => [...restless(node), ...untrue(node, world)]);
  const [first, ...others] = world.nodes.map((node) => world.keys.map((key) => JSON.stringify(heldBy(node, key))));
  for (const [i, other] of others.entries()) {
    const apart = world.keys.filter((_, k) => other[k] !== first?.[k]);
    for (const key of apart) wrong.push(`n0 and n${i + 1} do not hold the same under ${key}`);
  }
  return wrong;
}

function restless({ name, replica, disk }: SimulatedNode): string[] {
  const { unsettled, doubtful, entries } = disk;
  const wrong: string[] = [];
  if (replica?.status.ready !== true) wrong.push(`${name} is ${replica?.status.state ?? 'down'} at the end`);
  for (const key of unsettled)
    wrong.push(`${name} has ${JSON.stringify(key)} unsettled${doubtful.has(key) ? ' and in doubt' : ''} at the end`);
  if (entries.get(genesisKey) === undefined) wrong.push(`${name} does not know the log's identity`);
  return wrong;
}

/** A marker is as good as nothing: a statement may bring it back after the sweep, and it is swept again. */
function untrue(node: SimulatedNode, world: World): string[] {
  return world.keys.flatMap((key) => {
    const oracle = world.oracleOf(key);
    const truth = oracle.at(key, oracle.next);
    const held = heldBy(node, key);
    const same = truth.deleted ? held.deleted : JSON.stringify(held) === JSON.stringify(truth);
    return same ? [] : [`${node.name} holds ${JSON.stringify(held)} under ${key}, the truth is ${JSON.stringify(truth)}`];
  });
}

function heldBy(node: SimulatedNode, key: string): Truth {
  const entry = node.disk.entries.get(key)?.entry;
  if (entry === undefined) return nothingEver;
  const { version, value, deleted, expires } = entry;
  return { version, value: Buffer.from(value).toString(), deleted, expires };
}
