/**
 * A move from one log to another, while callers write to the old one: everything is copied, what changes meanwhile is followed, the old log
 * is sealed, the rest is followed, and all of it is compared once more.
 *
 * Invariant: nothing is told as moved unless, after the seal, the new log was seen to hold what the old one holds, and the old one ends where
 * it ended then. Every step may be done again: a move that was killed begins at the first of them.
 */
import { ClientError } from '../../client/errors.ts';
import { follow } from './move-log-follow.ts';
import { type MoveNode, otherLog, type SealWord } from './move-log-node.ts';
import { type Pass, pass } from './move-log-pass.ts';
import { MoveConflict, type MoveHold } from './move-log-state.ts';
import { nothingWritten, sumOf, type WriteOptions, type Written } from './move-log-write.ts';
import { counted, secondsSince } from './shell.ts';

/** The old log is sealed once what was behind took no longer than this, or after so many tries: behind the seal there is an end to it. */
const closeMs = 1_000;
const mostTries = 60;
/** Comparisons behind the seal; of what nobody writes to, the second finds nothing. */
const mostChecks = 5;

export interface MoveOptions extends Omit<WriteOptions, 'progress' | 'check'> {
  readonly from: MoveNode;
  readonly to: MoveNode;
  /** The genesis of each. */
  readonly logs: { readonly from: string; readonly to: string };
  /** Where callers should go, as the seal says it. */
  readonly url: string;
  /** The last comparison is before the seal, so that writes are refused for no longer than the rest takes. */
  readonly quick: boolean;
  /** One line for a person. */
  readonly say: (line: string) => void;
  /** How far a step is, now and then. */
  readonly show: (line: () => string) => void;
  /** Keeps the phase, before what it stands for is begun; and ends this run when another one has the move. */
  readonly hold: MoveHold;
}

export interface Moved {
  readonly keys: number;
  readonly written: Written;
  /** From the seal to the end. */
  readonly refusedMs: number;
}

/** Errors: those of nodes, as `ClientError`; `MoveConflict`. */
export function move(options: MoveOptions): Promise<Moved> {
  return new Move(options).run();
}

class Move {
  readonly #options: MoveOptions;
  #written = nothingWritten;
  #keys = 0;

  constructor(options: MoveOptions) {
    this.#options = options;
  }

  async run(): Promise<Moved> {
    const { from, quick, say, hold } = this.#options;
    const { sealed = false } = await from.word();
    // Whose seal it is is asked before anything is written.
    if (sealed) await this.#seal();
    await hold.save('copying');
    // As of a move that was killed behind its seal.
    let position = sealed ? undefined : await this.#copyOpen();
    if (sealed) say(`${from.url} is sealed already`);
    const sealedAt = performance.now();
    await hold.save('sealed');
    let end = await this.#seal();
    if (!sealed) say(`sealed ${from.url}: its writes are refused from now on`);
    if (position !== undefined) position = await this.#follow(position, end.position);
    let compared = quick && position !== undefined;
    for (let check = 1; ; check++) {
      if (!compared) {
        const pass = await this.#pass(end.position, 'compare');
        say(`compared ${counted(pass.keys, 'key')}: ${pass.differences === 0 ? 'all the same' : counted(pass.differences, 'difference')}`);
        compared = pass.differences === 0;
      }
      const { position: now } = await this.#seal();
      if (compared && now === end.position) break;
      if (check === mostChecks) throw new ClientError('internal', `after ${check} comparisons the two are still not the same`);
      compared &&= now === end.position;
      end = { ...end, position: now };
    }
    await this.#checkLogs();
    await hold.save('done');
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

  /** Compared once, or as often as it takes to delete all that is not in the old log; each time at least some of it is. */
  async #pass(seen: string, name: string): Promise<Pass> {
    const { from, to, logs } = this.#options;
    let differing = 0;
    for (;;) {
      let keys = 0;
      const listed = { source: from.list(logs.from, seen), target: to.list(logs.to), check: () => this.#checkLogs() };
      const writing = this.#writing(name, () => keys);
      const passed = await pass(listed, writing, (count) => {
        keys = count;
      });
      this.#written = sumOf(this.#written, passed.written);
      this.#keys = passed.keys;
      differing += passed.differences;
      if (passed.whole) return { ...passed, differences: differing };
    }
  }

  /** This run still holds the move, and both nodes serve the logs that it is of. Errors: `MoveConflict`. */
  async #checkLogs(): Promise<void> {
    const { from, to, logs, hold } = this.#options;
    await hold.check();
    const [old, fresh] = await Promise.all([from.genesis(), to.genesis()]);
    if (old !== logs.from) throw otherLog(from.url);
    if (fresh !== logs.to) throw otherLog(to.url);
  }

  /** Seals the old log, or tells its end again. Errors: `MoveConflict` when it was sealed for another place. */
  async #seal(): Promise<SealWord> {
    const { from, url } = this.#options;
    const word = await from.seal(url);
    if (word.to === null || word.to === url) return word;
    const wayOut = `callers may write there already. The command of that move goes on with it; \`bitacora move-log --from ${from.url} --undo\` ends it`;
    throw new MoveConflict(`the log of ${from.url} was sealed by another move, to ${word.to}: ${wayOut}`);
  }

  #writing(name: string, keys?: () => number): WriteOptions {
    const start = performance.now();
    const progress = ({ puts, deletes }: Written): void => {
      const of = keys === undefined ? '' : `  ${counted(keys(), 'key')}`;
      this.#options.show(() => `${name}${of}  ${puts} written  ${deletes} deleted  ${secondsSince(start)}`);
    };
    return { ...this.#options, check: () => this.#options.hold.check(), progress };
  }
}
