/** What the commands that talk to nodes over HTTP have in common: where the nodes are, how long to wait, and how they speak to a person. */
import type { Terminal } from './rpc-command.ts';

/** As `Terminal`, where a person may be looking at standard error. */
export interface Shell extends Omit<Terminal, 'out' | 'err'> {
  readonly out: {
    write(text: string | Uint8Array, done?: (error?: Error | null) => void): unknown;
    on?(event: 'error', listener: (error: Error) => void): unknown;
  };
  readonly err: Terminal['err'] & { readonly isTTY?: boolean };
}

/** What was asked makes no sense, in words. */
export class UsageError extends Error {}

/** Lines of `--help` about the options below. */
export const nodeHelp = `  -e, --endpoint URL        a node's HTTP face, or a balancer; repeat it for more. Default: BITACORA_ENDPOINT (by comma), otherwise
                            127.0.0.1 and BITACORA_API_PORT, API_PORT or 8082
  --timeout TIME            how long nothing may move before it is given up: 500ms, 30s, 2m (default 30s)
`;
export const nodeOptions = {
  endpoint: { type: 'string', short: 'e', multiple: true },
  timeout: { type: 'string' },
} as const;

/** By the options, or by the environment. */
export function endpointsOf(given: readonly string[] | undefined, env: Shell['env']): readonly string[] {
  if (given !== undefined) return given;
  const named = (env['BITACORA_ENDPOINT'] ?? '').split(',').filter((each) => each.trim() !== '');
  return named.length > 0
    ? named.map((each) => each.trim())
    : [`http://127.0.0.1:${env['BITACORA_API_PORT'] || env['API_PORT'] || '8082'}`];
}

const units: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000 };

/** In ms. Errors: `UsageError`. */
export function timeoutOf(text: string | undefined): number {
  if (text === undefined) return 30_000;
  const match = /^([1-9]\d{0,6})(ms|s|m)$/.exec(text);
  if (match === null) throw new UsageError(`--timeout is "${text}"; it is a whole number with its unit: 500ms, 30s, 2m`);
  return Number(match[1]) * (units[match[2] as string] as number);
}

/** Writes to standard output as fast as it is taken. Rejects when its reader is gone. */
export function writer(out: Shell['out']): (text: string) => Promise<void> {
  // Told by the write, too; without a listener Node would end the process with a stack.
  out.on?.('error', () => undefined);
  return (text) => new Promise((resolve, reject) => out.write(text, (error) => (error ? reject(error) : resolve())));
}

/** One line on a terminal's standard error that is written over; nothing where there is no terminal. */
export class ProgressLine {
  readonly #err: Shell['err'];
  #shownAt = Number.NEGATIVE_INFINITY;

  constructor(err: Shell['err']) {
    this.#err = err;
  }

  /** At most every 200 ms. */
  show(text: () => string): void {
    const now = performance.now();
    if (this.#err.isTTY !== true || now - this.#shownAt < 200) return;
    this.#shownAt = now;
    this.#err.write(`\r\u001b[K${text()}`);
  }

  /** Makes place for other lines. */
  clear(): void {
    if (this.#shownAt > 0) this.#err.write('\r\u001b[K');
    this.#shownAt = Number.NEGATIVE_INFINITY;
  }
}

/** `1,204 items`; of what it counts in the singular. */
export function counted(count: number, noun: string): string {
  return `${count.toLocaleString('en-US')} ${noun}${count === 1 ? '' : 's'}`;
}

/** `0.4 s`. */
export function secondsSince(start: number): string {
  return `${((performance.now() - start) / 1_000).toFixed(1)} s`;
}

/** How a command that takes its time speaks to its user, on standard error. */
export interface Speaking {
  readonly progress: ProgressLine;
  /** A line of its own, in the place of the progress. */
  readonly say: (text: string) => void;
}

export function speakingTo(err: Shell['err']): Speaking {
  const progress = new ProgressLine(err);
  const say = (text: string): void => {
    progress.clear();
    err.write(`${text}\n`);
  };
  return { progress, say };
}
