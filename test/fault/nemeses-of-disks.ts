/** Full disks, and stores in which bytes have changed. */
import { open, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { SeededChance } from '../simulation/chance.ts';
import type { ArenaNode } from './arena.ts';
import { type Nemesis, numbered, numberIn } from './nemesis.ts';
import { smallDiskBytes } from './small-disk.ts';

const fullDisk: Nemesis = {
  name: 'disk-full',
  lasts: [1_000, 8_000],
  smallDisks: true,
  targets: ({ nodes }) => numbered('node', nodes.length),
  async strike({ nodes }, target) {
    const { process, dataDirectory } = nodes[numberIn(target)] as ArenaNode;
    // One that finds its disk full when it starts says so and ends, which is as it should be and not what is looked for here.
    await process.said('node.listening');
    const ballast = join(dataDirectory, 'ballast');
    await writeFile(ballast, Buffer.alloc(smallDiskBytes)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOSPC') throw error;
    });
    return { heal: () => rm(ballast, { force: true }) };
  },
};

/** Flips bytes of files of the database; returns what it did. */
async function corrupt(directory: string, chance: SeededChance): Promise<string> {
  const names = await readdir(directory, { recursive: true });
  const files = names.filter((name) => /\.ldb$|\.log$|MANIFEST-\d+$|CURRENT$/.test(name)).sort();
  const done: string[] = [];
  for (let i = chance.between(1, 3); i > 0 && files.length > 0; i--) {
    const name = chance.pick(files);
    const { size } = await stat(join(directory, name)).catch(() => ({ size: 0 }));
    if (size === 0) continue;
    const file = await open(join(directory, name), 'r+');
    try {
      const at = Math.floor(chance.random() * size);
      const byte = Buffer.alloc(1);
      await file.read(byte, 0, 1, at);
      byte[0] = (byte[0] as number) ^ chance.between(1, 255);
      await file.write(byte, 0, 1, at);
      done.push(`${name} at ${at} of ${size}`);
    } finally {
      await file.close();
    }
  }
  return done.join(', ') || 'nothing there';
}

const corruptStopped: Nemesis = {
  name: 'store-corrupt',
  losesStore: true,
  lasts: [0, 1_000],
  targets: ({ nodes }) => numbered('node', nodes.length),
  async strike({ nodes }, target, chance) {
    const node = nodes[numberIn(target)] as ArenaNode;
    await node.end(chance.pick(['SIGKILL', 'SIGTERM']));
    return { detail: await corrupt(node.dataDirectory, chance), heal: async () => node.start() };
  },
};

const corruptRunning: Nemesis = {
  name: 'store-corrupt-running',
  losesStore: true,
  lasts: [500, 3_000],
  targets: ({ nodes }) => numbered('node', nodes.length),
  async strike({ nodes }, target, chance) {
    const node = nodes[numberIn(target)] as ArenaNode;
    const detail = await corrupt(node.dataDirectory, chance);
    // It looks at its files again, in half of the cases.
    const heal = async (): Promise<void> => {
      if (chance.once(2)) return;
      await node.end('SIGKILL');
      node.start();
    };
    return { detail, heal };
  },
};

export const nemesesOfDisks: readonly Nemesis[] = [fullDisk, corruptStopped, corruptRunning];
