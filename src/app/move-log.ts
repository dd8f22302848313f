/**
 * A move from one log to another, while callers write to the old one: everything is copied, what changes meanwhile is followed, the old log
 * is sealed, the rest is followed, and all of it is compared once more.
 *
 * Invariant: nothing is told as moved unless, after the seal, the new log was seen to hold what the old one holds, and the old one ends where
 * it ended then. Every step may be done again: a move that was killed begins at the first of them.
 */
import { ClientError } from '../../client/errors.ts';
import type { ExportItem } from '../../wire/export-reader.ts';
import { type Change, differences } from './move-log-differences.ts';
import { follow } from './move-log-follow.ts';
import type { MoveNode } from './move-log-node.ts';
import type { MovePhase } from './move-log-state.ts';
import { nothingWritten, sumOf, type WriteOptions, type Written, writeChanges } from './move-log-write.ts';
import { counted, secondsSince } from './shell.ts';

/** The old log is sealed once what was behind took no longer than this, or after so many tries: behind the seal there is an end to it. */
const closeMs = 1_000;
const mostTries = 60;
/** Comparisons behind the seal; of what nobody writes to, the second finds nothing. */
const mostChecks = 5;
/** Clocks of nodes differ by so much: one of them may call a deadline past that is not for another. */
const skewMs = 60_000;

export interface MoveOptions extends Omit<WriteOptions, 'progress'> {
  readonly from: MoveNode;
  readonly to: MoveNode;
  /** The last comparison is before the seal, so that writes are refused for no longer than the rest takes. */
  readonly quick: boolean;
  /** One line for a person. */
  readonly say: (line: string) => void;
  /** How far a step is, now and then. */
  readonly show: (line: () => string) => void;
  /** Keeps the phase, before what it stands for is begun. */
  readonly save: (phase: MovePhase) => Promise<void>;
}

export interface Moved {
  readonly keys: number;
  readonly written: Written;
  /** From the seal to the end. */
  readonly refusedMs: number;
}

/** Errors: those of nodes, as `ClientError`. */
export function move(options: MoveOptions): Promise<Moved> {
  return new Move(options).run();
}

/** What comparing both logs came to. */
interface Pass {
  readonly keys: number;
  /** Everything up to here of the old log was in what was compared. */
  readonly position: string;
  /** Keys that were not the same, other than those whose deadline is about now. */
  readonly differences: number;
}

class Move {
  readonly #options: MoveOptions;
  #written = nothingWritten;
  #keys = 0;

  constructor(options: MoveOptions) {
    this.#options = options;
  }

  async run(): Promise<Moved> {
    const { from, to, quick, say, save } = this.#options;
    await save('copying');
    const { sealed = false } = await from.word();
    // As of a move that was killed behind its seal.
    let position = sealed ? undefined : await this.#copyOpen();
    if (sealed) say(`${from.url} is sealed already`);
    const sealedAt = performance.now();
    await save('sealed');
    let end = await from.seal(to.url);
    if (!sealed) say(`sealed ${from.url}: its writes are refused from now on`);
    if (position !== undefined) position = await this.#follow(position, end.position);
    let compared = quick && position !== undefined;
    for (let check = 1; ; check++) {
      if (!compared) {
        const pass = await this.#pass(end.position, 'compare');
        say(`compared ${counted(pass.keys, 'key')}: ${pass.differences === 0 ? 'all the same' : counted(pass.differences, 'difference')}`);
        compared = pass.differences === 0;
      }
      const { position: now } = await from.seal(to.url);
      if (compared && now === end.position) break;
      if (check === mostChecks) throw new ClientError('internal', `after ${check} comparisons the two are still not the same`);
      compared &&= now === end.position;
      end = { ...end, position: now };
    }
    await save('done');
    return { keys: this.#keys, written: this.#written, refusedMs: performance.now() - sealedAt };
  }

  /** Copies while the old log takes writes; resolves with a position close to its end, up to which the new log has everything. */
  async #copyOpen(): Promise<string> {
    const { from, quick, say } = this.#options;
    let position = await this.#copy();
    if (quick) {
      position = await this.#near(position);
      const pass = await this.#pass('', 'compare');
      say(`compared ${counted(pass.keys, 'key')} under way: ${counted(pass.differences, 'difference')}`);
      position = pass.position;
    }
    position = await this.#near(position);
    say(`close behind ${from.url}`);
    return position;
  }

  async #copy(): Promise<string> {
    const { say } = this.#options;
    const start = performance.now();
    const { keys, position } = await this.#pass('', 'copy');
    say(`copied ${counted(keys, 'key')} in ${secondsSince(start)}`);
    return position;
  }

  /** Follows until the new log is close behind the old one. */
  async #near(from: string): Promise<string> {
    let position = from;
    for (let left = mostTries; left > 0; left--) {
      const start = performance.now();
      const { applied } = await this.#options.from.word();
      const before = position;
      position = (await this.#follow(position, applied)) ?? (await this.#copy());
      if (position !== before && performance.now() - start > closeMs) continue;
      return position;
    }
    this.#options.say('the old log is written to as fast as the new one takes it: it is sealed all the same');
    return position;
  }

  /** Undefined: the changes cannot be told any more. */
  async #follow(position: string, until: string): Promise<string | undefined> {
    const { from, say } = this.#options;
    const followed = await follow(from, position, until, this.#writing('follow'));
    this.#written = sumOf(this.#written, followed.written);
    if (!followed.lost) return followed.position;
    say('the node cannot tell all changes since: everything is compared again');
    return undefined;
  }

  async #pass(seen: string, name: string): Promise<Pass> {
    const { from, to } = this.#options;
    const source = from.list(seen);
    let keys = 0;
    let differing = 0;
    const each = async function* (items: AsyncIterable<ExportItem>) {
      for await (const item of items) {
        keys++;
        yield item;
      }
    };
    const counting = async function* (changes: AsyncIterable<Change>) {
      for await (const change of changes) {
        if (!isPassing(change)) differing++;
        yield change;
      }
    };
    const changes = counting(differences(each(source.items), to.list().items));
    const written = await writeChanges(
      changes,
      this.#writing(name, () => keys),
    );
    this.#written = sumOf(this.#written, written);
    this.#keys = keys;
    return { keys, position: source.position(), differences: differing };
  }

  #writing(name: string, keys?: () => number): WriteOptions {
    const start = performance.now();
    const progress = ({ puts, deletes }: Written): void => {
      const of = keys === undefined ? '' : `  ${counted(keys(), 'key')}`;
      this.#options.show(() => `${name}${of}  ${puts} written  ${deletes} deleted  ${secondsSince(start)}`);
    };
    return { ...this.#options, progress };
  }
}

/** It becomes absent about now, and is told by one node and not by the other. */
function isPassing(change: Change): boolean {
  const expires = change.op === 'put' ? change.item.expires : change.expires;
  return expires !== undefined && expires <= Date.now() + skewMs;
}
