/** Our end of the pipe to a guardian process; `guardian.mjs` says what it is for and what goes over the pipe. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** What the guardian removes when it ends. */
export interface Estate {
  /** A directory made for this service alone. */
  readonly directory?: string;
  /** `key=value`, a label that only our containers and networks carry. */
  readonly label?: string;
}

interface Message {
  readonly pid?: number;
  readonly signalled?: boolean;
  readonly exit?: string;
}

/** A process that ends its child and removes an estate when told to, or when this process is gone. */
export class Guardian {
  /** The pid of the running child. */
  pid: number | undefined;
  /** How the last child ended. */
  exit: string | undefined;

  readonly #process: ChildProcess;
  #waiting: { wants: (message: Message) => boolean; resolve: () => void }[] = [];

  constructor(estate: Estate) {
    this.#process = spawn(process.execPath, [join(import.meta.dirname, 'guardian.mjs'), JSON.stringify(estate)], {
      detached: true,
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const { stdin, stdout } = this.#process;
    if (stdin === null || stdout === null) throw new Error('the guardian has no pipes');
    // Writing to a guardian that is gone must not end the tests: the wait for its answer says so.
    stdin.on('error', (error) => this.#hear({ exit: `guardian: ${error.message}` }));
    createInterface({ input: stdout }).on('line', (line) => this.#hear(JSON.parse(line) as Message));
    this.#process.on('exit', () => this.#hear({ exit: 'its guardian ended' }));
    // A test that forgets to stop a service may end all the same; the closed pipe then does the work.
    this.#process.unref();
    for (const stream of [stdin, stdout]) if ('unref' in stream && typeof stream.unref === 'function') stream.unref();
  }

  /** Starts the child; its output is appended to the file `log`. */
  async start(command: string, args: readonly string[], log: string): Promise<void> {
    if (this.pid !== undefined) throw new Error(`still running: pid ${this.pid}`);
    this.exit = undefined;
    await this.#ask({ start: { command, args, log } }, ({ pid, exit }) => pid !== undefined || exit !== undefined);
  }

  /** Sends a signal to the child; resolves when it was sent. Does nothing when there is no child. */
  async signal(signal: NodeJS.Signals): Promise<void> {
    if (this.pid === undefined) return;
    await this.#ask({ signal }, ({ signalled, exit }) => signalled !== undefined || exit !== undefined);
  }

  /** Resolves when there is no child any more. */
  async childGone(): Promise<void> {
    if (this.pid !== undefined) await this.#hearing(({ exit }) => exit !== undefined);
  }

  /** Leaves the containers alone: they are removed already. */
  forgetContainers(): void {
    this.#process.stdin?.write(`${JSON.stringify({ forget: 'label' })}\n`);
  }

  /** Ends the child, removes the estate, and resolves when both are done. */
  async close(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const gone = once(this.#process, 'exit');
    this.#process.ref();
    this.#process.stdin?.end();
    await gone;
  }

  async #ask(command: object, wants: (message: Message) => boolean): Promise<void> {
    const answer = this.#hearing(wants);
    this.#process.stdin?.write(`${JSON.stringify(command)}\n`);
    await answer;
  }

  #hearing(wants: (message: Message) => boolean): Promise<void> {
    // A waiting caller keeps this process alive, which the unreferenced pipes do not.
    const awake = setInterval(() => undefined, 60_000);
    return new Promise<void>((resolve) => this.#waiting.push({ wants, resolve })).finally(() => clearInterval(awake));
  }

  #hear(message: Message): void {
    if (message.pid !== undefined) this.pid = message.pid;
    if (message.exit !== undefined) {
      this.pid = undefined;
      this.exit = message.exit;
    }
    const heard = this.#waiting.filter(({ wants }) => wants(message));
    this.#waiting = this.#waiting.filter((waiting) => !heard.includes(waiting));
    for (const { resolve } of heard) resolve();
  }
}
