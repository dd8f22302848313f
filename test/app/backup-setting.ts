/** `bitacora export`, `import`, `backup`, `restore` and `republish` as a person at a shell runs them, and stores to run them on. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { backup } from '../../src/app/backup-command.ts';
import { exportKeys } from '../../src/app/export-command.ts';
import { importKeys } from '../../src/app/import-command.ts';
import { republish } from '../../src/app/republish-command.ts';
import { restore } from '../../src/app/restore-command.ts';
import type { FoundValue } from '../../src/ports.ts';
import { address } from '../client-http/setting.ts';
import type { MemoryKeyValue } from '../rpc/memory-key-value.ts';

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface Around {
  readonly env?: Record<string, string>;
  readonly input?: readonly (string | Uint8Array)[];
  readonly isTTY?: boolean;
}

const commands = { export: exportKeys, import: importKeys, backup, restore, republish } as const;

export async function run(
  command: keyof typeof commands,
  argv: readonly string[],
  { env = {}, input = [], isTTY = false }: Around = {},
): Promise<Ran> {
  const out: Buffer[] = [];
  let err = '';
  const code = await commands[command](argv, {
    env,
    input: (async function* () {
      for (const piece of input) yield Buffer.from(piece as string);
    })(),
    out: {
      write: (text, done) => {
        out.push(Buffer.from(text as string));
        done?.();
      },
    },
    err: { isTTY, write: (text) => (err += text) },
  });
  return { code, out: Buffer.concat(out).toString(), err };
}

/** Options that name the nodes. */
export const at = (...ports: readonly number[]): string[] => ports.flatMap((port) => ['-e', address(port)]);

/** Gone with the test. */
export async function directory(): Promise<(name: string) => string> {
  const path = await mkdtemp(join(tmpdir(), 'bitacora-backup-'));
  onTestFinished(() => rm(path, { recursive: true }));
  return (name) => join(path, name);
}

/** What of a key must come through, by key. */
export async function contentsOf(keyValue: Pick<MemoryKeyValue, 'list'>): Promise<Map<string, unknown>> {
  const all = new Map<string, unknown>();
  for (let after: string | undefined, more = true; more; ) {
    const { items, next } = await keyValue.list({ prefix: '', after, delimiter: undefined, limit: 1_000 });
    for (const { key, found } of items) all.set(key, contentOf(found));
    after = next;
    more = next !== undefined;
  }
  return all;
}

function contentOf({ value, contentType, expires }: FoundValue): unknown {
  return { value: Buffer.from(value).toString('base64'), contentType, expires };
}
