/** A real nginx with deploy/nginx.conf in front of three nodes. */
import { spawn } from 'node:child_process';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { freePorts } from '../services/free-ports.ts';
import { atCleanUp, newDirectory, watchOver } from './clean-up.ts';
import { until } from './until.ts';

const configuration = join(import.meta.dirname, '../../deploy/nginx.conf');

export interface Balancer {
  readonly url: string;
  /** The same nodes behind a `proxy_pass` and nothing else: HTTP/1.0, buffering, and all time limits as nginx has them. */
  readonly plainUrl: string;
}

/** `ports`: of the three nodes. It is ended at the clean-up. */
export async function startNginx(ports: readonly number[]): Promise<Balancer> {
  const directory = await newDirectory();
  // Started by root, its workers are somebody else.
  await chmod(directory, 0o755);
  const [port, plainPort] = (await freePorts(2)) as [number, number];
  const plain = `server { listen 127.0.0.1:${plainPort}; location / { proxy_pass http://bitacora; } }`;
  let text = (await readFile(configuration, 'utf8'))
    .replace(/\}\s*$/, `  ${plain}\n}\n`)
    .replace('listen 8080', `listen 127.0.0.1:${port}`)
    .replaceAll('/tmp/', `${directory}/`)
    .replace('worker_processes auto', 'worker_processes 2');
  for (const [index, each] of ports.entries()) text = text.replaceAll(`node${index + 1}:8082`, `127.0.0.1:${each}`);
  const file = join(directory, 'nginx.conf');
  await writeFile(file, text);
  const path = `${process.env['PATH']}:/usr/sbin`;
  const child = spawn('nginx', ['-e', 'stderr', '-c', file, '-g', 'daemon off;'], {
    env: { PATH: path },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    said += chunk;
  });
  child.once('error', (error) => {
    said += error.message;
  });
  if (child.pid !== undefined) watchOver(child.pid);
  atCleanUp(async () => {
    child.kill('SIGQUIT');
    setTimeout(() => child.kill('SIGTERM'), 500).unref();
    await ended;
  });
  await until('nginx listens', () => listens(port), 10_000).catch((error: Error) => {
    throw new Error(`${error.message}\n${said}`);
  });
  return { url: `http://127.0.0.1:${port}`, plainUrl: `http://127.0.0.1:${plainPort}` };
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}
