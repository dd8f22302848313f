/**
 * What watchers are kept for is bounded by tens of thousands of changes, more than a world has. Here it is bounded by a handful, so that
 * queues run over, and what was missed is read from the log, in every world. Nothing of it is against the rules: a queue may always say
 * that something was missed, and memory may always forget.
 */
import { Recent } from '../../src/replica/recent.ts';
import { WatchQueue } from '../../src/replica/watch-queue.ts';

const mostWaiting = 4;
const longestFill = 40;
const forgetEvery = 60;

export interface SmallBounds {
  /** How many queues have run over. */
  overflows(): number;
  undo(): void;
}

/** Until it is undone: one world at a time. */
export function smallBounds(): SmallBounds {
  const { add: queued, take, begin } = WatchQueue.prototype;
  const { add: remembered, mayReach } = Recent.prototype;
  const waiting = new WeakMap<WatchQueue, number>();
  const batches = new WeakMap<Recent, number>();
  let overflows = 0;
  WatchQueue.prototype.add = function (changes) {
    const wasLost = this.lost;
    queued.call(this, changes);
    if (wasLost || this.idle) return;
    const count = (waiting.get(this) ?? 0) + changes.length;
    waiting.set(this, count);
    if (count <= mostWaiting || this.lost) return;
    overflows++;
    this.lose();
  };
  WatchQueue.prototype.take = function () {
    waiting.delete(this);
    return take.call(this);
  };
  WatchQueue.prototype.begin = function () {
    waiting.delete(this);
    begin.call(this);
  };
  Recent.prototype.add = function (partition, first, next, changes) {
    const count = (batches.get(this) ?? 0) + 1;
    batches.set(this, count);
    remembered.call(this, partition, first, next, count % forgetEvery === 0 ? undefined : changes);
  };
  Recent.prototype.mayReach = function (partition, from, applied) {
    return applied - from <= longestFill && mayReach.call(this, partition, from, applied);
  };
  return {
    overflows: () => overflows,
    undo: () => {
      Object.assign(WatchQueue.prototype, { add: queued, take, begin });
      Object.assign(Recent.prototype, { add: remembered, mayReach });
    },
  };
}
