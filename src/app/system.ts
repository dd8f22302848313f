/** Time and chance as the machine gives them. */
import { randomUUID } from 'node:crypto';
import type { Chance, Clock, Millis } from '../ports.ts';

export const systemClock: Clock = {
  now: () => Date.now() as Millis,
  monotonic: () => performance.now(),
  after(delayMs, action) {
    const timer = setTimeout(action, delayMs);
    timer.unref();
    return () => clearTimeout(timer);
  },
};

export const systemChance: Chance = { uuid: () => randomUUID(), random: () => Math.random() };
