/**
 * Writes whose outcome the log decides: conditional ones, those that may repeat another, and atomic batches
 * (docs/decisions/conditions.md). They are acknowledged when this node has applied them and knows what they came to, for all nodes alike.
 */
import { BitacoraError, VersionConflict } from '../core/errors.ts';
import { checkIdempotencyKey } from '../core/keys.ts';
import { answerKey, isLive, met } from '../core/machine.ts';
import { never } from '../core/position.ts';
import { type Authorship, type Condition, memberOf } from '../core/record.ts';
import type { Answer, Chance, Clock, Entry, Expectation, Log, Millis, NewRecord, Offset, Partition, Position, Written } from '../ports.ts';
import type { Appender } from './appender.ts';
import { Decisions, type Expected, outcomeOf } from './decisions.ts';
import type { Horizon } from './horizon.ts';
import { Patience } from './patience.ts';
import type { Waiters } from './waiters.ts';

/** Of a partition; with more, new idempotency keys are refused. */
const mostAnswers = 100_000;

/** What a node knows of the state, for the first look at a condition. */
export interface Known {
  entry(key: string): Promise<Entry | undefined>;
  isDoubtful(key: string): boolean;
  logTime(partition: Partition): Millis;
  answer(partition: Partition, id: string): Answer | undefined;
  answersKept(partition: Partition): number;
}

export interface DecidedWritesOptions {
  readonly clock: Clock;
  readonly chance: Chance;
  /** Wait for the decision, at most. */
  readonly timeoutMs: number;
  readonly appender: Appender;
  readonly author: () => Authorship;
  readonly waiters: Waiters;
  readonly horizon: Horizon;
  readonly known: Known;
}

/** A write of one key, checked. */
export interface Proposal {
  readonly key: string;
  readonly condition: Expectation | undefined;
  /** The record will be the answer to whoever sends the same request again. */
  readonly repeatable: boolean;
  /** The record, once it is its turn to be written. */
  readonly record: (author: Authorship, condition: Condition | undefined) => NewRecord;
}

export class DecidedWrites {
  readonly #options: DecidedWritesOptions;
  readonly decisions = new Decisions();

  constructor(options: DecidedWritesOptions) {
    this.#options = options;
  }

  /**
   * Errors: `version-conflict`, `unknown-outcome`, `conditions-unsupported`, `overloaded`, `bad-request`, `position-not-reached` (nothing is
   * written), and those of `Log.append`.
   */
  async write(log: Log, partition: Partition, proposal: Proposal, idempotencyKey?: string, signal?: AbortSignal): Promise<Written> {
    const answer = idempotencyKey === undefined ? undefined : this.#answered(partition, idempotencyKey, proposal.key);
    if (answer !== undefined) return outcomeOf(answer, partition);
    const [answered] = await this.#decide(log, partition, [proposal], signal, (records, ended) =>
      log.append(partition, records[0] as NewRecord, ended),
    );
    return outcomeOf(answered as Answer, partition);
  }

  /** All or none. Errors: as `write`; `batch-invalid` when the log cannot hold them together. */
  async writeTogether(log: Log, partition: Partition, proposals: readonly Proposal[], signal?: AbortSignal): Promise<readonly Written[]> {
    const id = this.#options.chance.uuid();
    const count = proposals.length;
    const answers = await this.#decide(log, partition, proposals, signal, (records, ended) =>
      log.appendTogether(
        partition,
        records.map((record, index) => memberOf(record, { id, index, count })),
        ended,
      ),
    );
    // Of what stood in the way, the first is told.
    const failed = answers.findIndex(
      ({ outcome, current }, i) => outcome === 'refused' && !fits(proposals[i] as Proposal, partition, current),
    );
    const blamed = Math.max(0, failed);
    const { key } = proposals[blamed] as Proposal;
    outcomeOf(answers[blamed] as Answer, partition, key);
    return answers.map((answer) => outcomeOf(answer, partition, key));
  }

  async #decide(
    log: Log,
    partition: Partition,
    proposals: readonly Proposal[],
    signal: AbortSignal | undefined,
    append: (records: readonly NewRecord[], signal: AbortSignal) => Promise<Position>,
  ): Promise<readonly Answer[]> {
    if (!log.identity.logAppendTime) {
      throw new BitacoraError('conditions-unsupported', 'the topic has message.timestamp.type=CreateTime; conditions need LogAppendTime');
    }
    const { clock, timeoutMs, author, appender } = this.#options;
    const patience = new Patience(clock, timeoutMs, signal);
    let expected: readonly Expected[] = [];
    try {
      const conditions = proposals.map(({ condition }) => conditionOf(condition, partition));
      for (const [i, { key, repeatable }] of proposals.entries()) {
        // Of a request that may be sent again the log has the first word: an earlier attempt may be written, or may come yet.
        if (!repeatable) await this.#mayHold(key, partition, conditions[i], patience);
      }
      // The sequence numbers are taken and the records handed over in one go: the log keeps the order of the calls.
      const authors = proposals.map(() => author());
      expected = authors.map(({ by }) => this.decisions.expect(by));
      const records = proposals.map(({ record }, i) => record(authors[i] as Authorship, conditions[i]));
      const appended = appender.append((ended) => append(records, ended), signal);
      const told = Promise.all(expected.map((each) => each.told));
      // What this node has applied is in the log for certain, whatever becomes of the acknowledgement.
      return await Promise.race([told, appended.then(() => inTime(told, patience))]);
    } finally {
      for (const each of expected) each.forget();
      patience.end();
    }
  }

  /** What came of the same request before. Errors: `bad-request`, `overloaded`. */
  #answered(partition: Partition, idempotencyKey: string, key: string): Answer | undefined {
    const { known, horizon } = this.#options;
    checkIdempotencyKey(idempotencyKey);
    const answer = known.answer(partition, answerKey(idempotencyKey, key));
    if (answer === undefined && known.answersKept(partition) >= mostAnswers) {
      // They are forgotten as log time passes, which in a quiet partition nothing else may see to.
      horizon.barrier(partition).catch(() => undefined);
      throw new BitacoraError('overloaded', `partition ${partition} remembers ${mostAnswers} idempotency keys already`);
    }
    return answer;
  }

  /**
   * A condition that fails on this node may only fail because the node is behind, so it looks again behind a barrier. Errors:
   * `version-conflict` when it fails then: nothing needs to be written; `position-not-reached`.
   */
  async #mayHold(key: string, partition: Partition, condition: Condition | undefined, patience: Patience): Promise<void> {
    const { horizon, waiters } = this.#options;
    if (condition === undefined || (await this.#conflictHere(key, partition, condition)) === undefined) return;
    const barrier = await patience.of(horizon.barrier(partition));
    // What is written when nobody waits any more would be of unknown outcome for certain.
    if (!(await waiters.wait(barrier, (giveUp) => patience.onEnd(giveUp)))) {
      throw new BitacoraError('position-not-reached', 'this node is behind, and nothing has been written');
    }
    const conflict = await this.#conflictHere(key, partition, condition);
    if (conflict !== undefined) throw conflict;
  }

  /** Undefined: the condition holds, or this node cannot tell. */
  async #conflictHere(key: string, partition: Partition, condition: Condition): Promise<VersionConflict | undefined> {
    const { known } = this.#options;
    const at = known.logTime(partition);
    const entry = await known.entry(key);
    if (known.isDoubtful(key) || met(condition, entry, at)) return undefined;
    const live = entry !== undefined && isLive(entry, at);
    return new VersionConflict(live ? { partition, offset: entry.version } : undefined, key);
  }
}

/** Errors: `unknown-outcome`. */
async function inTime<T>(told: Promise<T>, patience: Patience): Promise<T> {
  return patience.of(told, () => new BitacoraError('unknown-outcome', 'the write is in the log, and this node has not come to it in time'));
}

/** A version of another partition is none that the key ever had. */
function conditionOf(expectation: Expectation | undefined, partition: Partition): Condition | undefined {
  if (expectation === undefined || typeof expectation === 'string') return expectation;
  return expectation.partition === partition ? expectation.offset : 'never';
}

/** The condition held where the key was at `current`; -1: absent. */
function fits({ condition }: Proposal, partition: Partition, current: Offset): boolean {
  const expected = conditionOf(condition, partition);
  if (expected === undefined) return true;
  return expected === 'absent' ? current === never : expected === 'present' ? current !== never : current === expected;
}
