/**
 * Verification that nodes hold the same: one of them writes a mark into every partition, and each takes a digest of its state there
 * (marks.ts). What they came to is compared by whoever asks.
 */
import { bytesOf } from '../core/bytes.ts';
import { BitacoraError } from '../core/errors.ts';
import { markKey } from '../core/keys.ts';
import { type Authorship, putRecord } from '../core/record.ts';
import type { Digested, Log, Partition, StateDigest, Verification } from '../ports.ts';
import { keyIn } from './horizon.ts';
import type { Mark } from './marks.ts';

/** Of the newest runs; older ones are forgotten. */
const mostRuns = 16;

export interface VerifyingOptions {
  readonly log: () => Log | undefined;
  readonly author: () => Authorship;
  readonly newRun: () => string;
  /** This node is at the log's end, and in doubt about nothing. */
  readonly certain: () => boolean;
}

export class Verifying {
  readonly #options: VerifyingOptions;
  readonly #runs = new Map<string, Map<Partition, Digested>>();

  constructor(options: VerifyingOptions) {
    this.#options = options;
  }

  /** As `KeyValue.verify`. */
  async begin(signal?: AbortSignal): Promise<Verification> {
    const { log: current, author, newRun, certain } = this.#options;
    const log = current();
    if (log === undefined) throw new BitacoraError('log-unavailable', 'this node has not reached the log yet');
    if (!certain()) throw new BitacoraError('position-not-reached', 'this node is not at the end of the log, or in doubt');
    const run = newRun();
    const { partitions } = log.identity;
    const marks = Array.from({ length: partitions }, (_, i) => {
      const partition = i as Partition;
      return log.append(partition, putRecord(keyIn(partition, partitions, markKey), bytesOf(run), author()), signal);
    });
    return { run, positions: await Promise.all(marks) };
  }

  /** A mark is applied. */
  digested({ run, position }: Mark, digest: StateDigest | undefined): void {
    const known = this.#runs.get(run) ?? new Map<Partition, Digested>();
    this.#runs.set(run, known);
    const [oldest] = this.#runs.keys();
    if (this.#runs.size > mostRuns && oldest !== undefined) this.#runs.delete(oldest);
    known.set(position.partition, { position, digest });
  }

  /** As `KeyValue.digests`. */
  digests(run: string): readonly Digested[] {
    return [...(this.#runs.get(run)?.values() ?? [])].sort((one, other) => one.position.partition - other.position.partition);
  }
}
