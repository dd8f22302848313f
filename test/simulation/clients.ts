/** Clients of the simulated world: each does one thing after another, and notes what it was told, and between which ends of the log. */
import { bytesOf } from '../../src/core/bytes.ts';
import { codeOf, VersionConflict } from '../../src/core/errors.ts';
import type { Consistency, Expectation, Millis, Offset, Position, ReadAnswer, WriteOptions, Written } from '../../src/ports.ts';
import type { Replica } from '../../src/replica/replica.ts';
import type { Check } from './checks.ts';
import type { SimulatedNode } from './node.ts';
import type { World } from './world.ts';

/** Nobody waits longer for an answer; a node that has crashed gives none. */
const longestWaitMs = 90_000;
const gone = Symbol('gone');

export function startClients(world: World): { readonly name: string; readonly done: () => boolean }[] {
  return Array.from({ length: world.options.clients }, (_, i) => {
    const client = new Client(world, `client ${i}`);
    let done = false;
    void client.run().then(() => {
      done = true;
    });
    return { name: client.name, done: () => done };
  });
}

function isUnknown(told: unknown): told is typeof gone | Error {
  return told === gone || (told instanceof Error && codeOf(told) === 'unknown-outcome');
}

class Client {
  readonly name: string;
  readonly #world: World;
  /** What it has seen of each partition: the offset of the newest record. */
  readonly #seen = new Map<number, number>();
  /** Versions it knows, by key. */
  readonly #known = new Map<string, Position>();
  #count = 0;

  constructor(world: World, name: string) {
    this.name = name;
    this.#world = world;
  }

  async run(): Promise<void> {
    const { clock, chance } = this.#world;
    while (!this.#world.over) {
      await clock.pause(chance.between(20, chance.once(20) ? 20_000 : 1_500));
      const node = chance.pick(this.#world.nodes);
      if (node.replica === undefined) continue;
      const key = `k${chance.between(0, this.#world.options.keys - 1)}`;
      if (chance.once(2)) await this.#read(node, node.replica, key);
      else await this.#write(node, node.replica, key);
    }
  }

  async #read(node: SimulatedNode, replica: Replica, key: string): Promise<void> {
    const { chance, clock } = this.#world;
    const oracle = this.#world.oracleOf(key);
    const partition = this.#world.partitionOf(key);
    const consistency: Consistency = chance.pick(['local', 'local', 'latest', 'linearizable']);
    const seenOffset = chance.once(2) ? this.#seen.get(partition) : undefined;
    const genesis = replica.genesis;
    const position = { partition, offset: seenOffset as Offset };
    const seen = seenOffset === undefined || genesis === undefined ? undefined : { genesis, positions: [position] };
    const ready = replica.status.ready;
    const began = { next: oracle.next, at: clock.now() };
    const answer = await this.#told<ReadAnswer>(replica.read(key, { consistency, ...(seen === undefined ? {} : { seen }) }));
    if (answer === gone || answer instanceof Error || node.replica !== replica) return;
    const { found, applied } = answer;
    // Behind a jump in offsets a node is not ready, and what it has is of no point in time; unless the read asked for more.
    const vouched = (ready && replica.status.ready) || consistency !== 'local' || seen !== undefined;
    if (vouched) {
      this.#seen.set(partition, Math.max(this.#seen.get(partition) ?? -1, applied.offset - 1));
      if (found?.version !== undefined) this.#known.set(key, found.version);
    }
    const least = Math.max(applied.offset, seen === undefined ? 0 : (seenOffset as number) + 1, consistency === 'local' ? 0 : began.next);
    this.#world.checks.push({
      kind: 'read',
      ...{ client: this.name, node: node.name, key, consistency, source: answer.source, least, most: oracle.next, vouched },
      ...{ value: found === undefined ? undefined : Buffer.from(found.value).toString(), version: found?.version?.offset },
      ...{ from: began.at, to: clock.now() },
    });
  }

  async #write(node: SimulatedNode, replica: Replica, key: string): Promise<void> {
    const { chance, clock } = this.#world;
    const oracle = this.#world.oracleOf(key);
    const deletes = chance.once(4);
    const value = `${this.name}/${++this.#count}`;
    const options = this.#options(key, deletes);
    const began = { next: oracle.next, at: clock.now() };
    const attempt = (on: Replica) => (deletes ? on.delete(key, options) : on.put(key, bytesOf(value), options));
    let told = await this.#told<Written>(attempt(replica));
    let retried = false;
    // With an idempotency key the same request may be sent again, to any node.
    if (isUnknown(told) && options.idempotencyKey !== undefined) {
      const other = chance.pick(this.#world.nodes.filter(({ replica: up }) => up !== undefined));
      if (other?.replica !== undefined) {
        retried = true;
        told = await this.#told<Written>(attempt(other.replica));
      }
    }
    const check: Check = {
      kind: 'write',
      ...{ client: this.name, node: node.name, key, deletes, value, condition: options.condition, began: began.next, retried },
      ...{ ended: oracle.next, idempotent: options.idempotencyKey !== undefined, expires: options.expires ?? 0 },
      // A repetition that fails says nothing of the first attempt.
      ...(isUnknown(told) || (retried && told instanceof Error && !(told instanceof VersionConflict))
        ? { told: 'unknown' as const }
        : told instanceof VersionConflict
          ? { told: 'refused' as const, current: told.current?.offset ?? -1 }
          : told instanceof Error
            ? { told: 'failed' as const, code: codeOf(told) }
            : { told: 'written' as const, version: told.position.offset }),
    };
    this.#world.checks.push(check);
    if (!(told === gone || told instanceof Error)) {
      this.#seen.set(told.position.partition, Math.max(this.#seen.get(told.position.partition) ?? -1, told.position.offset));
      this.#known.set(key, told.position);
    } else if (told instanceof VersionConflict && told.current !== undefined) this.#known.set(key, told.current);
  }

  #options(key: string, deletes: boolean): WriteOptions {
    const { chance, clock } = this.#world;
    const known = this.#known.get(key);
    const conditions: readonly (Expectation | undefined)[] = [undefined, 'absent', 'present', known, known, known];
    const condition = chance.pick(conditions);
    return {
      ...(condition === undefined ? {} : { condition }),
      ...(!deletes && chance.once(5) ? { expires: (clock.now() + chance.between(500, 30_000)) as Millis } : {}),
      ...(chance.once(3) ? { idempotencyKey: chance.uuid() } : {}),
    };
  }

  /** The outcome, an error among them; `gone`: none came. */
  async #told<T>(work: Promise<T>): Promise<T | Error | typeof gone> {
    const late = this.#world.clock.pause(longestWaitMs).then((): typeof gone => gone);
    return Promise.race([work.catch((error: unknown) => (error instanceof Error ? error : new Error(String(error)))), late]);
  }
}
