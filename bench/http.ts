/** `GET /rpc` for a key in memory at 32 connections, against a bare Express 5 route that sends the same JSON. Both in processes of their own. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { load } from './load.ts';
import { startNodeProcess } from './node-process.ts';
import { line, median, ratio } from './report.ts';

const rounds = Number(process.env['ROUNDS'] ?? 4);
const connections = 32;
const seconds = 4;

export async function benchHttp(): Promise<void> {
  const data = mkdtempSync(join(tmpdir(), 'bitacora-bench-'));
  const node = await startNodeProcess({ LOG: 'embedded', BITACORA_DATA_DIR: data });
  const bare = await startBareExpress();
  const rates = { node: [] as number[], bare: [] as number[] };
  try {
    await node.until('node.ready');
    await fetch(`${node.url}/rpc?key=hello&value=${'v'.repeat(100)}`, { method: 'POST' });
    for (let round = 0; round < rounds; round++) {
      rates.bare.push((await load({ url: `${bare.url}/rpc?key=hello`, connections, seconds })).perSecond);
      rates.node.push((await load({ url: `${node.url}/rpc?key=hello`, connections, seconds })).perSecond);
    }
  } finally {
    bare.end();
    await node.end('SIGTERM');
    rmSync(data, { recursive: true, force: true });
  }
  line(`bare Express 5: ${rates.bare.map(Math.round).join(', ')} requests/s`);
  line(`GET /rpc hit: ${rates.node.map(Math.round).join(', ')} requests/s`);
  ratio('GET /rpc / bare Express', median(rates.node) / median(rates.bare), 4);
}

function startBareExpress(): Promise<{ url: string; end(): void }> {
  const loader = createRequire(import.meta.url).resolve('tsx');
  const child = spawn(process.execPath, ['--import', loader, fileURLToPath(new URL('./bare-express.ts', import.meta.url))], {
    env: { ...process.env, NODE_ENV: 'production' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return new Promise((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`bare Express ended with ${code}`)));
    child.stdout.once('data', (port) => resolve({ url: `http://127.0.0.1:${String(port).trim()}`, end: () => child.kill() }));
  });
}
