/**
 * Watchers of the simulated world: each watches a key or a prefix for as long as there is a world, at one node after the other, from where
 * it was told last; some of the time it is slow. What it is told is held against the truth at once (heard.ts, resets.ts).
 */
import { codeOf } from '../../src/core/errors.ts';
import type { WatchEvent, WatchOptions } from '../../src/ports.ts';
import type { Replica } from '../../src/replica/replica.ts';
import { SeededChance } from './chance.ts';
import { Heard, type Interest, said } from './heard.ts';
import type { SimulatedNode } from './node.ts';
import { reasonOf, type Session } from './resets.ts';
import type { World } from './world.ts';

const prefixes = ['', 'k', 'k1', '{t}'];
/** As many events are told of when something is wrong. */
const mostTold = 12;
const ended = Symbol('ended');

export function startWatchers(world: World): Watcher[] {
  return Array.from({ length: world.options.watchers }, (_, i) => {
    const watcher = new Watcher(world, i);
    void watcher.run();
    return watcher;
  });
}

export class Watcher {
  readonly #name: string;
  readonly #world: World;
  /** Its own, so that a world without watchers is the same for its clients as far as it can be. */
  readonly #chance: SeededChance;
  #heard: Heard;
  readonly #told: string[] = [];
  #isWrong = false;
  #isOver = false;

  constructor(world: World, number: number) {
    this.#world = world;
    this.#name = `watcher ${number}`;
    this.#chance = new SeededChance((world.options.seed ^ 0x3a7c) + 977 * number);
    this.#heard = new Heard(world, this.#interest());
  }

  async run(): Promise<void> {
    const { clock, nodes } = this.#world;
    while (!this.#isWrong && !this.#isOver) {
      await clock.pause(this.#chance.between(10, this.#chance.pick([500, 500, 500, 8_000, 40_000])));
      const node = this.#chance.pick(nodes);
      const { replica } = node;
      // The HTTP face refuses watches before (watch-route.ts).
      if (replica?.status.ready !== true || replica.genesis === undefined) continue;
      if (!this.#world.over && this.#chance.once(12)) this.#heard = new Heard(this.#world, this.#interest());
      await this.#watch(node, replica, replica.genesis);
    }
  }

  /** The world is at its end: what has not been told. */
  end(): string[] {
    this.#isOver = true;
    if (this.#isWrong) return [];
    return this.#heard.unheard().map((what) => `${this.#name}: ${what} at the end; ${this.#told.join('; ')}`);
  }

  #interest(): Interest {
    const key = this.#chance.once(3) ? this.#chance.pick(this.#world.keys) : undefined;
    return { key, prefix: key === undefined ? this.#chance.pick(prefixes) : '' };
  }

  async #watch(node: SimulatedNode, replica: Replica, genesis: string): Promise<void> {
    const world = this.#world;
    const stop = new AbortController();
    const options = this.#begin(replica, genesis);
    const anew = options.from?.genesis === '';
    const session: Session = { node, anew, applied: [...replica.status.applied], misses: node.misses, overflows: world.overflows() };
    const slowMs = this.#chance.pick([0, 0, 0, 50, 5_000, 20_000]);
    const leave = new Promise<typeof ended>((resolve) => {
      void node.left.then(() => resolve(ended));
      if (!world.over) world.clock.after(this.#chance.between(200, this.#chance.pick([2_000, 60_000])), () => resolve(ended));
    });
    const events = replica.watch({ ...options, signal: stop.signal })[Symbol.asyncIterator]();
    try {
      while (!this.#isWrong) {
        const next = await Promise.race([events.next(), leave]);
        if (next === ended || next.done) return;
        this.#take(next.value, replica, session);
        if (slowMs > 0 && !world.over) await Promise.race([world.clock.pause(this.#chance.between(0, slowMs)), leave]);
      }
    } catch (error) {
      world.count(`watches ended: ${codeOf(error)}`);
      if (codeOf(error) === 'internal') this.#wrong(`it ended with ${String(error)}`);
    } finally {
      stop.abort();
      void events.return?.().catch(() => undefined);
    }
  }

  #begin(replica: Replica, genesis: string): WatchOptions {
    const { key, prefix } = this.#heard.interest;
    const what = { key, prefix };
    const { applied } = replica.status;
    const { positions } = this.#heard;
    if (positions !== undefined) {
      this.#note(`goes on at ${positions.map(({ partition, offset }) => `${partition}:${offset}`).join()}`);
      this.#world.count('watches resumed');
      this.#heard.begin(applied);
      return { ...what, from: { genesis, positions } };
    }
    if (this.#heard.isTelling) {
      this.#heard.beginAnew(applied);
      this.#note('begins anew');
      return { ...what, from: { genesis: '', positions: [] } };
    }
    const initial = this.#chance.once(2);
    this.#note(initial ? 'begins with the state' : 'begins from now on');
    if (initial) this.#heard.beginAnew(applied);
    else this.#heard.begin(applied);
    return { ...what, initial };
  }

  #take(event: WatchEvent, replica: Replica, session: Session): void {
    const world = this.#world;
    this.#note(`${session.node.name} ${said(event)}`);
    world.count(`watch: ${event.kind}`);
    if (event.kind === 'reset') {
      const reason = reasonOf(world, this.#heard, session);
      world.count(`resets: ${reason ?? 'for no reason'}`);
      if (reason === undefined) this.#wrong('a reset for no reason');
    }
    const wrong = this.#heard.take(event, replica.status.applied);
    if (wrong !== undefined) this.#wrong(wrong);
  }

  #note(what: string): void {
    this.#told.push(`${this.#world.clock.monotonic()}: ${what}`);
    if (this.#told.length > mostTold) this.#told.shift();
  }

  /** Once is enough: what follows follows from it. */
  #wrong(what: string): void {
    this.#isWrong = true;
    this.#world.troubles.push(`${this.#name} of ${JSON.stringify(this.#heard.interest)}: ${what}; ${this.#told.join('; ')}`);
  }
}
