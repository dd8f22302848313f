/** A node as a process of its own, run as a user would run it: settings in the environment, told by its log lines and its HTTP face. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { freePorts } from '../services/free-ports.ts';
import { call } from './calls.ts';
import { atCleanUp, forget, newDirectory, watchOver } from './clean-up.ts';
import { until } from './until.ts';

const main = join(import.meta.dirname, '../../dist/src/app/main.js');

/** Where a node lives; it keeps port and directory when it is started again. */
export interface Place {
  readonly port: number;
  readonly avroPort: number;
  /** Of its Avro face. */
  readonly socket: string;
  /** The directory it is started in; its data are in `data` below. */
  readonly directory: string;
  /** Its name among the others. */
  readonly address: string;
  readonly url: string;
}

/** A line of the node's log. */
export interface LogLine {
  readonly level: string;
  readonly event?: string;
  readonly msg: string;
  readonly [field: string]: unknown;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** The body of `/readyz`. */
export interface Status {
  readonly state: string;
  readonly reason: string | null;
  readonly ready: boolean;
  readonly writable: boolean;
  readonly lag_ms: number;
  readonly applied: readonly number[];
  readonly ends: readonly number[];
  readonly entries: number;
  readonly records_applied: number;
  readonly genesis: string | null;
  readonly log: string;
}

export interface NodeProcess extends Place {
  readonly pid: number;
  /** What it has said so far. */
  readonly lines: readonly LogLine[];
  /** All of its standard output, and of its standard error. */
  output(): string;
  errors(): string;
  readonly exit: Promise<Exit>;
  /** The first line with this event, said already or to come. */
  said(event: string, limitMs?: number): Promise<LogLine>;
  /** `/readyz` is 200. */
  ready(limitMs?: number): Promise<void>;
  status(): Promise<Status>;
  /** Sum over the children of a metric whose labels hold `labels`. */
  metric(name: string, labels?: string): Promise<number>;
  signal(signal: NodeJS.Signals): void;
  /** Sends a signal and waits for the end. */
  end(signal?: NodeJS.Signals): Promise<Exit>;
}

/** Variables by name. */
export interface Environment {
  readonly [name: string]: string;
}

export async function newPlace(): Promise<Place> {
  const [port, avroPort] = (await freePorts(2)) as [number, number];
  return {
    port,
    avroPort,
    socket: `127.0.0.1:${avroPort}`,
    directory: await newDirectory(),
    address: `127.0.0.1:${port}`,
    url: `http://127.0.0.1:${port}`,
  };
}

/** Starts a node; nothing is waited for. It is killed at the clean-up if it still runs. */
export function startNode(place: Place, environment: Environment, flags: readonly string[] = []): NodeProcess {
  const defaults = {
    API_PORT: String(place.port),
    AVRO_PORT: String(place.avroPort),
    NODE_ADDRESS: place.address,
    BITACORA_HTTP_HOST: '127.0.0.1',
    BITACORA_DATA_DIR: join(place.directory, 'data'),
  };
  return runNode(place, { ...defaults, ...environment }, flags);
}

/** As `startNode`, with nothing in the environment but what is given. */
export function runNode(place: Place, environment: Environment, flags: readonly string[] = []): NodeProcess {
  const child = spawn(process.execPath, [main, 'serve', ...flags], {
    cwd: place.directory,
    env: { PATH: process.env['PATH'], ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const pid = child.pid;
  if (pid === undefined) throw new Error('the node could not be started');
  watchOver(pid);
  const lines: LogLine[] = [];
  let output = '';
  let errors = '';
  let rest = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    output += chunk;
    const pieces = (rest + chunk).split('\n');
    rest = pieces.pop() ?? '';
    for (const piece of pieces) lines.push(JSON.parse(piece) as LogLine);
  });
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    errors += chunk;
  });
  let ended: Exit | undefined;
  // 'close', not 'exit': by then all it wrote has been read.
  const exit = new Promise<Exit>((resolve) => {
    child.once('exit', () => forget(pid));
    child.once('close', (code, signal) => {
      ended = { code, signal };
      resolve(ended);
    });
  });
  const asked = (path: string) => call(place.url, 'GET', path, { limitMs: 5_000 });
  const alive = (): void => {
    if (ended !== undefined) throw new Error(`the node ended with ${ended.code ?? ended.signal}: ${errors}${tail(lines)}`);
  };
  async function waitFor<T>(what: string, ask: () => Promise<T | undefined | false> | T | undefined | false, limitMs?: number) {
    const found = await until(`${place.address}: ${what}`, async () => (await ask()) || ended || false, limitMs).catch((error: Error) => {
      throw new Error(`${error.message}\n${tail(lines)}`, { cause: error });
    });
    if (found === ended) alive();
    return found as T;
  }
  const node: NodeProcess = {
    ...place,
    pid,
    lines,
    output: () => output,
    errors: () => errors,
    exit,
    said: (event, limitMs) => waitFor(`says ${event}`, () => lines.find((line) => line.event === event), limitMs),
    async ready(limitMs) {
      // A node on a new topic may be ready a moment before it has read the topic's identity; until then it takes no tokens.
      const knows = (body: string): boolean => (JSON.parse(body) as Status).genesis !== null;
      await waitFor('ready', async () => asked('/readyz').then(({ status, body }) => status === 200 && knows(body)), limitMs);
    },
    status: async () => JSON.parse((await asked('/readyz')).body) as Status,
    async metric(name, labels = '') {
      const samples = (await asked('/metrics')).body
        .split('\n')
        .filter((line) => (line.startsWith(`${name}{`) || line.startsWith(`${name} `)) && line.includes(labels));
      return samples.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
    },
    signal: (signal) => void child.kill(signal),
    end(signal = 'SIGTERM') {
      child.kill(signal);
      return exit;
    },
  };
  atCleanUp(() => (ended === undefined ? node.end('SIGKILL') : undefined));
  return node;
}

function tail(lines: readonly LogLine[]): string {
  return lines
    .slice(-15)
    .map((line) => JSON.stringify(line))
    .join('\n');
}
