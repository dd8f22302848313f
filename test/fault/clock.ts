/** A node's wall clock, to be set wrong while it runs. Its monotonic clock goes on as it should. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

export interface WrongClock {
  /** What the node has to be started with. */
  readonly environment: Readonly<Record<string, string>>;
  /** It takes a tenth of a second until the node has it. */
  set(skewMs: number): void;
}

const preload = pathToFileURL(join(import.meta.dirname, 'wrong-clock.mjs')).href;

export function startClock(directory: string): WrongClock {
  const file = join(directory, 'clock');
  const set = (skewMs: number): void => writeFileSync(file, String(skewMs));
  set(0);
  return { environment: { NODE_OPTIONS: `--import=${preload}`, FAULT_CLOCK: file }, set };
}
