/** A node as a process of its own, told by its log lines. Benchmarks measure it as a user would run it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { freePorts } from '../test/services/free-ports.ts';

const main = fileURLToPath(new URL('../dist/src/app/main.js', import.meta.url));

export interface NodeProcess {
  readonly url: string;
  readonly port: number;
  readonly avroPort: number;
  readonly pid: number;
  /** Milliseconds from the start of the process to the log line with this event. */
  until(event: string): Promise<number>;
  residentMb(): number;
  metric(name: string): Promise<number>;
  end(signal: NodeJS.Signals): Promise<void>;
}

export async function startNodeProcess(env: Readonly<Record<string, string>>): Promise<NodeProcess> {
  const [port, avroPort] = await freePorts(2);
  const began = performance.now();
  const child = spawn(process.execPath, [main, 'serve'], {
    env: {
      PATH: process.env['PATH'],
      API_PORT: String(port),
      AVRO_PORT: String(avroPort),
      NODE_ADDRESS: `127.0.0.1:${port}`,
      LOG_FORMAT: 'json',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const seen = new Map<string, number>();
  const waiting = new Map<string, (ms: number) => void>();
  let rest = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const { event } = JSON.parse(line) as { event: string };
      if (!seen.has(event)) seen.set(event, performance.now() - began);
      waiting.get(event)?.(seen.get(event) as number);
    }
  });
  return {
    url: `http://127.0.0.1:${port}`,
    port: port as number,
    avroPort: avroPort as number,
    pid: child.pid as number,
    until: (event) => untilEvent(child, seen, waiting, event),
    residentMb: () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1]) / 1024,
    async metric(name) {
      const body = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
      return body
        .split('\n')
        .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
        .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
    },
    end: (signal) =>
      new Promise((resolve) => {
        if (child.exitCode !== null || child.signalCode !== null) return resolve();
        child.once('exit', () => resolve());
        child.kill(signal);
      }),
  };
}

function untilEvent(
  child: ChildProcess,
  seen: ReadonlyMap<string, number>,
  waiting: Map<string, (ms: number) => void>,
  event: string,
): Promise<number> {
  const known = seen.get(event);
  if (known !== undefined) return Promise.resolve(known);
  return new Promise((resolve, reject) => {
    waiting.set(event, resolve);
    child.once('exit', (code) => reject(new Error(`the node ended with ${code} before ${event}`)));
  });
}
