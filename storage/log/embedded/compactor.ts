/**
 * Compaction in the background: looks every so often, goes step by step at a bounded rate, and makes room for appends between the steps.
 * A partition whose rows are damaged is left alone from then on: nothing is deleted by what cannot be trusted.
 */
import { type BitacoraError, codeOf } from '../../../src/core/errors.ts';
import type { Clock, Logger, Partition } from '../../../src/ports.ts';
import { type CleanerRules, cleanStep, sweepStep } from './cleaner.ts';
import type { Disk } from './disk.ts';
import type { Ends } from './ends.ts';

export interface CompactorOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly disk: Disk;
  readonly ends: Ends;
  readonly rules: CleanerRules;
  /** How often to look for something to do. */
  readonly intervalMs: number;
  readonly recordsPerSecond: number;
}

export class Compactor {
  readonly #options: CompactorOptions;
  readonly #damaged = new Set<Partition>();
  /** Passes stand in line: there is never more than one. */
  #line: Promise<unknown> = Promise.resolve();
  #state: 'running' | 'stopped' = 'running';
  /** How many wait for a pass to end; it does not pause then. */
  #hurried = 0;
  #cancel: () => void = () => undefined;
  /** Ends the pause between two steps early. */
  #resume: () => void = () => undefined;

  constructor(options: CompactorOptions) {
    this.#options = options;
  }

  start(): void {
    if (this.#state === 'stopped') return;
    this.#cancel = this.#options.clock.after(this.#options.intervalMs, () => {
      this.#line = this.#line.then(() => this.#pass()).then(() => this.start());
    });
  }

  /** Does all that can be done now, without pauses. Rejects with what a step failed of. */
  async now(): Promise<void> {
    this.#hurried += 1;
    this.#resume();
    try {
      const pass = this.#line.then(() => this.#pass());
      this.#line = pass;
      const failed = await pass;
      if (failed !== undefined) throw failed;
    } finally {
      this.#hurried -= 1;
    }
  }

  /** Resolves when no step is under way. */
  async stop(): Promise<void> {
    this.#state = 'stopped';
    this.#cancel();
    this.#resume();
    await this.#line;
  }

  /** Never rejects: returns the last failure. */
  async #pass(): Promise<unknown> {
    let failed: unknown;
    for (const partition of this.#options.ends.bounds.keys() as IterableIterator<Partition>) {
      if (this.#damaged.has(partition)) continue;
      try {
        while (this.#state === 'running') {
          const done = await this.#step(partition);
          if (done === 0) break;
          await this.#pause(done);
        }
      } catch (error) {
        failed = error;
        this.#fail(partition, error);
      }
    }
    return failed;
  }

  async #step(partition: Partition): Promise<number> {
    const { clock, disk, ends, rules } = this.#options;
    const cleaned = await cleanStep(disk.level, ends, partition, clock.now(), rules);
    return cleaned > 0 ? cleaned : sweepStep(disk.level, partition, clock.now());
  }

  #fail(partition: Partition, error: unknown): void {
    const { disk, logger } = this.#options;
    if (disk.state !== 'connected' || this.#state === 'stopped') return;
    if (codeOf(error) === 'log-unavailable') {
      this.#damaged.add(partition);
      logger.error({ event: 'log.embedded.damaged', partition }, (error as BitacoraError).message);
    } else {
      disk.fail(error);
    }
  }

  #pause(records: number): Promise<void> {
    if (this.#hurried > 0) return Promise.resolve();
    return new Promise((resolve) => {
      const cancel = this.#options.clock.after((records * 1_000) / this.#options.recordsPerSecond, resolve);
      this.#resume = () => {
        cancel();
        resolve();
      };
    });
  }
}
