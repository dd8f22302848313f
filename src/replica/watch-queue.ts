/** What one watcher has not taken yet: bounded, and when it is too much nothing is kept but that something was missed. */
import type { WatchChange } from '../ports.ts';
import { sizeOf } from './recent.ts';

const mostWaiting = 4_096;
const mostBytes = 4 * 1024 * 1024;

export class WatchQueue {
  readonly #wants: (key: string) => boolean;
  #waiting: WatchChange[] = [];
  #bytes = 0;
  #lost = false;
  #ended = false;
  #waits = false;
  /** Somebody has waited since the last tick. */
  #waitsSinceTick = false;
  #resume: () => void = () => undefined;

  constructor(wants: (key: string) => boolean) {
    this.#wants = wants;
  }

  /** Something was missed: what comes next cannot be told without telling the whole state first. */
  get lost(): boolean {
    return this.#lost;
  }

  add(changes: readonly WatchChange[]): void {
    if (this.#lost) return;
    let some = false;
    for (const change of changes) {
      if (!this.#wants(change.key)) continue;
      if (change.learned) {
        this.lose();
        return;
      }
      this.#waiting.push(change);
      this.#bytes += sizeOf(change);
      some = true;
    }
    if (this.#waiting.length > mostWaiting || this.#bytes > mostBytes) this.lose();
    else if (some) this.#wake();
  }

  lose(): void {
    this.#lost = true;
    this.#empty();
    this.#wake();
  }

  /** From now on all is taken again: the whole state is about to be told. */
  begin(): void {
    this.#lost = false;
    this.#empty();
  }

  /** What has come, all of it. */
  take(): readonly WatchChange[] {
    const taken = this.#waiting;
    this.#empty();
    return taken;
  }

  /** Nothing has come, and nothing was missed. */
  get idle(): boolean {
    return this.#waiting.length === 0 && !this.#lost;
  }

  /** Nothing comes any more: nobody waits. */
  end(): void {
    this.#ended = true;
    this.#wake();
  }

  /** A while has passed: who has waited all of it waits no longer. */
  tick(): void {
    if (this.#waitsSinceTick) this.#wake();
    this.#waitsSinceTick = this.#waits;
  }

  /** Resolves when something has come or was missed, when nothing did from one tick to the next but one, or at the end. */
  async come(): Promise<void> {
    if (!this.idle || this.#ended) return;
    // One promise and nothing else: a change may wake thousands.
    await new Promise<void>((resolve) => {
      this.#waits = true;
      this.#resume = resolve;
    });
  }

  #wake(): void {
    if (!this.#waits) return;
    this.#waits = false;
    this.#waitsSinceTick = false;
    this.#resume();
  }

  #empty(): void {
    this.#waiting = [];
    this.#bytes = 0;
  }
}
