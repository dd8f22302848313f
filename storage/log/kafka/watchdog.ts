/**
 * Looks every second whether the log is still the one that was read, and whether what it has really comes: compares the positions with the
 * ends that the brokers tell, and acts when they contradict or nothing moves.
 */
import type { Logger, Millis, Offset, PartitionBounds } from '../../../src/ports.ts';
import { messageOf } from './client.ts';
import type { Lane } from './lane.ts';
import type { TopicClue } from './topic-clue.ts';
import type { Verdicts } from './verdicts.ts';

export interface Watched {
  readonly lanes: readonly Lane[];
  readonly clue: TopicClue;
  readonly verdicts: Verdicts;
  readonly bounds: () => Promise<readonly PartitionBounds[]>;
  /** By partition the first offset at or after a time; its end where there is none. Undefined where the records' times may go back. */
  readonly firstSince: ((time: Millis) => Promise<readonly Offset[]>) | undefined;
  readonly logger: Logger;
  /** There are connections over which the log is read. */
  reading(): boolean;
  /** The log may be another one. */
  suspected(why: string): void;
  /** The log is another one. */
  changed(why: string): void;
  /** These connections are no good. */
  stalled(why: string): void;
  /** After each look that had an answer. */
  looked(): void;
}

const everyMs = 1_000;
/** Nothing comes of a partition for this long, though the log has more: new connections. Longer than a broker's ordinary pause. */
const deadAfterMs = 20_000;
/** How often a topic that moves on as if nothing had happened is asked whether it is still the same. */
const compareEveryMs = 5_000;

export class Watchdog {
  readonly #watched: Watched;
  readonly #timer: NodeJS.Timeout;
  #looking = false;
  #ended = false;
  #comparedAt = 0;

  constructor(watched: Watched) {
    this.#watched = watched;
    this.#timer = setInterval(() => void this.#look(), everyMs);
    this.#timer.unref();
  }

  /** Nothing is asked or told any more. */
  end(): void {
    this.#ended = true;
    clearInterval(this.#timer);
  }

  async #look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    const { lanes, bounds, logger } = this.#watched;
    try {
      // Taken before the question: what is read while the answer is on its way may lie beyond the ends it tells.
      const before = lanes.map(({ position }) => position);
      const ends = (await bounds()).map(({ next }) => next);
      if (!this.#ended) this.#judgeEnds(before, ends);
      if (!this.#ended) this.#findStalled(ends);
      if (!this.#ended) await this.#compare();
      if (!this.#ended) this.#watched.looked();
    } catch (error) {
      logger.debug({ event: 'log.watchdog', error: messageOf(error) }, 'the log did not tell its ends');
    } finally {
      this.#looking = false;
    }
  }

  #judgeEnds(read: readonly Offset[], ends: readonly Offset[]): void {
    const { verdicts, changed, suspected } = this.#watched;
    const partition = read.findIndex((offset, each) => offset > (ends[each] as Offset));
    if (partition < 0) {
      verdicts.clear('ends');
      return;
    }
    const detail = `partition ${partition} ends at ${ends[partition]}, before ${read[partition]}, up to where it was read`;
    // A topic made anew may be longer than the old one a second later, when nothing shows any more: the landmark is looked for at once.
    if (verdicts.told('ends')) changed(detail);
    else suspected(detail);
  }

  #findStalled(ends: readonly Offset[]): void {
    const { lanes, logger } = this.#watched;
    const now = performance.now();
    const stalled = lanes.filter((lane) => {
      if (lane.position >= (ends[lane.partition] as Offset)) lane.moved = now;
      return now - lane.moved > deadAfterMs && !lane.handling;
    });
    const [first] = stalled;
    if (first === undefined || !this.#watched.reading()) return;
    const { partition, position } = first;
    const fields = { event: 'log.reader.stalled', partition, position, end: ends[partition] };
    logger.warn(fields, 'nothing comes of the log though it has more: connections are made anew');
    for (const lane of stalled) lane.moved = now;
    this.#watched.stalled(`nothing comes of partition ${partition} from ${position} on`);
  }

  /** A topic made anew that has outgrown the old one shows in nothing that is read: topic-clue.ts says how it is noticed. */
  async #compare(): Promise<void> {
    const { clue, firstSince, logger } = this.#watched;
    const { since } = clue;
    const now = performance.now();
    if (firstSince === undefined || since === undefined || now - this.#comparedAt < compareEveryMs || !this.#watched.reading()) return;
    this.#comparedAt = now;
    if (clue.fits(await firstSince(since)) || this.#ended) return;
    clue.forget();
    logger.warn({ event: 'log.topic-suspected' }, 'the topic may be another one than before: its identity is looked for');
    this.#watched.suspected('the topic may be another one');
  }
}
