/** In which order nodes are asked, and the pauses: each once in a round, then a pause, longer after each round and at random within its half. */
import type { Chance, Clock } from '../../src/ports.ts';
import type { Endpoint } from './endpoint.ts';
import type { Endpoints, Load } from './endpoints.ts';
import type { Wait } from './wait.ts';

export interface RoundsWorld {
  readonly endpoints: Endpoints;
  readonly clock: Clock;
  readonly chance: Pick<Chance, 'random'>;
}

export interface RoundsOptions {
  /** Those that may be asked. */
  readonly candidates: readonly Endpoint[];
  readonly load: Load;
  /** No pause is longer, unless all ask for more. */
  readonly longestPauseMs: number;
}

const firstPauseMs = 25;

export class Rounds {
  readonly #world: RoundsWorld;
  readonly #options: RoundsOptions;
  /** Asked in this round, or not to be asked before this time, by the monotonic clock. */
  readonly #avoid = new Map<Endpoint, number>();
  #rounds = 0;

  constructor(world: RoundsWorld, options: RoundsOptions) {
    this.#world = world;
    this.#options = options;
  }

  /** Who is to be asked next; to be called when there is nothing to pause for. */
  pick(): Endpoint {
    const { candidates, load } = this.#options;
    // Somebody there always is: those of a round that is over may be asked again.
    return this.#world.endpoints.pick(this.#avoid, candidates, load) as Endpoint;
  }

  /** Another than this one is still to be asked in this round. */
  hasAnother(than: Endpoint): boolean {
    return this.#options.candidates.some((each) => each !== than && !this.#avoid.has(each));
  }

  /** It was asked in this round, and wants to be left alone for so long. */
  asked(endpoint: Endpoint, restMs: number): void {
    this.#avoid.set(endpoint, this.#now + restMs);
  }

  /** Before somebody may be asked, in ms; 0: there is somebody who was not asked yet. */
  pauseMs(): number {
    const { candidates, longestPauseMs } = this.#options;
    if (candidates.some((endpoint) => !this.#avoid.has(endpoint))) return 0;
    const askedMs = Math.min(...this.#avoid.values()) - this.#now;
    const backoffMs = Math.min(longestPauseMs, firstPauseMs * 2 ** this.#rounds) * (0.5 + this.#world.chance.random() / 2);
    return Math.max(backoffMs, askedMs);
  }

  /** Pauses for so long, and begins the next round. */
  async next(pauseMs: number, wait: Wait): Promise<void> {
    this.#rounds++;
    // By the time meant, not by the time it is then: a timer may be early by a little.
    const until = this.#now + pauseMs + 1;
    await wait.pause(pauseMs);
    for (const [endpoint, notBefore] of this.#avoid) if (notBefore <= until) this.#avoid.delete(endpoint);
  }

  get #now(): number {
    return this.#world.clock.monotonic();
  }
}
