/** Clients of the simulated world: each does one thing after another, and notes what it was told, and between which ends of the log. */
import { bytesOf } from '../../src/core/bytes.ts';
import { codeOf, VersionConflict } from '../../src/core/errors.ts';
import type { Consistency, Expectation, Millis, Offset, Partition, Position, ReadAnswer, WriteOptions, Written } from '../../src/ports.ts';
import type { Replica } from '../../src/replica/replica.ts';
import type { WriteCheck } from './checks.ts';
import { writeBatch } from './client-batches.ts';
import { readPast } from './client-histories.ts';
import { list } from './client-lists.ts';
import type { SimulatedNode } from './node.ts';
import type { World } from './world.ts';

/** Nobody waits longer for an answer; a node that has crashed gives none. */
const longestWaitMs = 90_000;
export const gone = Symbol('gone');

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

export function isUnknown(told: unknown): told is typeof gone | Error {
  return told === gone || (told instanceof Error && codeOf(told) === 'unknown-outcome');
}

type Told<T> = T | Error | typeof gone;

/** Both were answered for certain, and not the same. */
function isOther(first: WriteCheck, second: WriteCheck): boolean {
  const certain = [first, second].every(({ told }) => told === 'written' || told === 'refused');
  return certain && (first.told !== second.told || first.version !== second.version || first.current !== second.current);
}

export class Client {
  readonly name: string;
  readonly world: World;
  /** What it has seen of each partition: the offset of the newest record. */
  readonly seen = new Map<Partition, number>();
  /** Versions it knows, by key. */
  readonly known = new Map<string, Position>();
  #count = 0;

  constructor(world: World, name: string) {
    this.name = name;
    this.world = world;
  }

  async run(): Promise<void> {
    const { clock, chance, keys } = this.world;
    while (!this.world.over) {
      await clock.pause(chance.between(20, chance.once(20) ? 20_000 : 1_500));
      // Doubts are few and short, and must be met.
      const doubted = chance.once(2)
        ? this.world.nodes.find(({ replica, disk }) => replica !== undefined && disk.doubtful.size > 0)
        : undefined;
      const node = doubted ?? chance.pick(this.world.nodes);
      if (node.replica === undefined) continue;
      const key = chance.pick(doubted === undefined ? keys : keys.filter((each) => doubted.disk.doubtful.has(each))) ?? chance.pick(keys);
      if (node.disk.doubtful.has(key)) this.world.count('keys in doubt asked for');
      const what = chance.between(1, 12);
      if (what <= 4) await this.#read(node, node.replica, key);
      else if (what <= 8) await this.#write(node, node.replica, key);
      else if (what === 9) await writeBatch(this, node, node.replica);
      else if (what === 10) await list(this, node, node.replica);
      else await readPast(this, node, node.replica, key);
    }
  }

  /** A value that nobody else writes. */
  value(): string {
    return `${this.name}/${++this.#count}`;
  }

  sees(partition: Partition, offset: number): void {
    this.seen.set(partition, Math.max(this.seen.get(partition) ?? -1, offset));
  }

  /** As likely nothing as a condition on what stands there, as far as it knows. */
  condition(key: string): Expectation | undefined {
    const known = this.known.get(key);
    return this.world.chance.pick([undefined, 'absent', 'present', known, known, known]);
  }

  async #read(node: SimulatedNode, replica: Replica, key: string): Promise<void> {
    const { chance, clock } = this.world;
    const oracle = this.world.oracleOf(key);
    const partition = this.world.partitionOf(key);
    const consistency: Consistency = chance.pick(['local', 'local', 'latest', 'linearizable']);
    const seenOffset = chance.once(2) ? this.seen.get(partition) : undefined;
    const genesis = replica.genesis;
    const position = { partition, offset: seenOffset as Offset };
    const seen = seenOffset === undefined || genesis === undefined ? undefined : { genesis, positions: [position] };
    const ready = replica.status.ready;
    const began = { next: oracle.next, at: clock.now() };
    const answer = await this.told<ReadAnswer>(replica.read(key, { consistency, ...(seen === undefined ? {} : { seen }) }));
    if (answer === gone || answer instanceof Error || node.replica !== replica) return;
    const { found, applied } = answer;
    // Behind a jump in offsets a node is not ready, and what it has is of no point in time; unless the read asked for more.
    const vouched = (ready && replica.status.ready) || consistency !== 'local' || seen !== undefined;
    if (vouched) {
      this.sees(partition, applied.offset - 1);
      if (found?.version !== undefined) this.known.set(key, found.version);
    }
    if (answer.source === 'peer') this.world.count('answers of peers');
    const least = Math.max(applied.offset, seen === undefined ? 0 : (seenOffset as number) + 1, consistency === 'local' ? 0 : began.next);
    this.world.checks.push({
      kind: 'read',
      ...{ client: this.name, node: node.name, key, consistency, source: answer.source, least, most: oracle.next, vouched },
      ...{ value: found === undefined ? undefined : Buffer.from(found.value).toString(), version: found?.version?.offset },
      ...{ from: began.at, to: clock.now() },
    });
  }

  async #write(node: SimulatedNode, replica: Replica, key: string): Promise<void> {
    const { chance, clock } = this.world;
    const oracle = this.world.oracleOf(key);
    const deletes = chance.once(4);
    const value = this.value();
    const options = this.#options(key, deletes);
    const began = { next: oracle.next, at: clock.now() };
    const attempt = (on: Replica) => this.told<Written>(deletes ? on.delete(key, options) : on.put(key, bytesOf(value), options));
    const check = (told: Told<Written>, retried: boolean): WriteCheck => ({
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
    });
    let told = await attempt(replica);
    const first = check(told, false);
    this.world.checks.push(first);
    // With an idempotency key the same request may be sent again, to any node; a proxy does so unasked.
    const other = chance.pick(this.world.nodes.filter(({ replica: up }) => up !== undefined))?.replica;
    const again = isUnknown(told) || (first.told !== 'failed' && chance.once(3));
    if (options.idempotencyKey !== undefined && other !== undefined && again) {
      told = await attempt(other);
      const second = check(told, true);
      this.world.checks.push(second);
      this.world.count('requests sent again');
      if (clock.now() - began.at <= this.world.options.compactionLagMs / 2 && isOther(first, second))
        this.world.troubles.push(`the same request was answered differently: ${JSON.stringify([first, second])}`);
    }
    if (!(told === gone || told instanceof Error)) {
      this.sees(told.position.partition, told.position.offset);
      this.known.set(key, told.position);
    } else if (told instanceof VersionConflict && told.current !== undefined) this.known.set(key, told.current);
  }

  #options(key: string, deletes: boolean): WriteOptions {
    const { chance, clock } = this.world;
    const condition = this.condition(key);
    return {
      ...(condition === undefined ? {} : { condition }),
      ...(!deletes && chance.once(5) ? { expires: (clock.now() + chance.between(500, 30_000)) as Millis } : {}),
      ...(chance.once(3) ? { idempotencyKey: chance.uuid() } : {}),
    };
  }

  /** The outcome, an error among them; `gone`: none came. */
  async told<T>(work: Promise<T>): Promise<Told<T>> {
    const late = this.world.clock.pause(longestWaitMs).then((): typeof gone => gone);
    const told = await Promise.race([work.catch((error: unknown) => (error instanceof Error ? error : new Error(String(error)))), late]);
    if (told instanceof Error) this.world.count(codeOf(told));
    return told;
  }
}
