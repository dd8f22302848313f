/** Which node gets the next request: of two taken at random the one with less to do, among those that are well if there are any. */
import type { Chance, Clock } from '../../src/ports.ts';
import type { Endpoint } from './endpoint.ts';

/** What there is to do, as far as it matters: a watch keeps no request waiting. */
export type Load = 'inFlight' | 'streams';

export class Endpoints {
  readonly all: readonly Endpoint[];
  readonly #clock: Clock;
  readonly #chance: Pick<Chance, 'random'>;

  constructor(all: readonly Endpoint[], clock: Clock, chance: Pick<Chance, 'random'>) {
    this.all = all;
    this.#clock = clock;
    this.#chance = chance;
  }

  /** Undefined: all are to be avoided. */
  pick(avoid: { has(endpoint: Endpoint): boolean }, among: readonly Endpoint[], load: Load): Endpoint | undefined {
    const now = this.#clock.monotonic();
    const open = among.filter((endpoint) => !avoid.has(endpoint));
    const well = open.filter((endpoint) => !endpoint.isResting(now));
    const [one, other] = this.#two(well.length > 0 ? well : open);
    return other === undefined || one === undefined || one[load] <= other[load] ? one : other;
  }

  /** Two different ones, as far as there are. */
  #two(from: readonly Endpoint[]): readonly (Endpoint | undefined)[] {
    const first = Math.floor(this.#chance.random() * from.length);
    const second = (first + 1 + Math.floor(this.#chance.random() * (from.length - 1))) % from.length;
    return from.length < 2 ? [from[0]] : [from[first], from[second]];
  }

  close(): void {
    for (const endpoint of this.all) endpoint.close();
  }
}
