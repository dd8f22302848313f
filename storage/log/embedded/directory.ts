/**
 * The directory of an embedded log: `log.json` says which log it is, `level/` holds it.
 *
 * `log.json` is written last when a log is made. From then on LevelDB is never allowed to make a database there: it would put an empty one
 * in the place of one that has lost its CURRENT file, and acknowledged writes would be gone without a word.
 */
import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { BitacoraError } from '../../../src/core/errors.ts';
import type { Chance } from '../../../src/ports.ts';
import { type Level, type LevelOptions, openLevel } from '../../level.ts';
import { identityKey, sealBytes, unseal } from './rows.ts';

const format = 1;

/** What stands in `log.json`, and once more in LevelDB, so that two halves of different logs are found out. */
export interface StoredIdentity {
  readonly format: number;
  readonly clusterId: string;
  readonly topic: string;
  readonly partitions: number;
}

export interface DirectoryOptions {
  readonly directory: string;
  readonly topic: string;
  readonly partitions: number;
  readonly chance: Chance;
  /** Opens the database; tests put faults here. */
  readonly open?: (directory: string, options: LevelOptions) => Promise<Level>;
}

/** Where LevelDB is, below the log's directory. */
export const levelPath = (directory: string): string => join(resolve(directory), 'level');

/**
 * Opens the log in a directory, or makes one in a new directory.
 * Errors: `topic-unusable` (another topic, partition count or format; or damaged), `directory-locked`, `directory-unusable`.
 */
export async function openDirectory(options: DirectoryOptions): Promise<{ readonly level: Level; readonly identity: StoredIdentity }> {
  const { directory } = options;
  await mkdir(levelPath(directory), { recursive: true }).catch((cause: unknown) => {
    throw new BitacoraError('directory-unusable', `${directory} cannot be made: ${cause}`, { cause });
  });
  const known = await readIdentity(directory);
  if (known !== undefined) check(options, known);
  const level = await (options.open ?? openLevel)(levelPath(directory), { create: known === undefined }).catch((cause: unknown) => {
    throw cause instanceof BitacoraError && cause.code === 'store-damaged' ? unusable(directory, cause.message, cause) : cause;
  });
  try {
    return { level, identity: await identify(options, level, known) };
  } catch (error) {
    await level.close();
    throw error;
  }
}

async function identify(options: DirectoryOptions, level: Level, known: StoredIdentity | undefined): Promise<StoredIdentity> {
  const { directory, topic, partitions, chance } = options;
  const row = await level.get(identityKey);
  if (known !== undefined) {
    const inside = row && unseal(identityKey, row).toString();
    if (inside !== JSON.stringify(known)) throw unusable(directory, `log.json and the database name different logs (${inside})`);
    return known;
  }
  if (row !== undefined) {
    // The making was interrupted between its two last steps; nothing had been acknowledged.
    const made = JSON.parse(unseal(identityKey, row).toString()) as StoredIdentity;
    check(options, made);
    await writeIdentity(directory, made);
    return made;
  }
  for await (const key of level.keys({ limit: 1 })) throw unusable(directory, `it holds rows (${key.length} bytes of key) but not whose`);
  const identity: StoredIdentity = { format, clusterId: chance.uuid(), topic, partitions };
  await level.put(identityKey, sealBytes(identityKey, Buffer.from(JSON.stringify(identity))), { sync: true });
  await writeIdentity(directory, identity);
  return identity;
}

function check(options: DirectoryOptions, identity: StoredIdentity): void {
  const { directory, topic, partitions } = options;
  const wayOut = 'or begin an empty log in another directory';
  if (identity.format !== format) {
    throw new BitacoraError('topic-unusable', `the log in ${directory} has format ${identity.format}, this version reads ${format}`);
  }
  if (identity.topic !== topic) {
    const detail = `the log in ${directory} is the topic ${identity.topic}, the settings say ${topic}: set the topic to ${identity.topic}, ${wayOut}`;
    throw new BitacoraError('topic-unusable', detail);
  }
  if (identity.partitions !== partitions) {
    const counts = `the log in ${directory} has ${identity.partitions} partitions, the settings say ${partitions}`;
    const detail = `${counts}, and keys would change their partition: set the partitions to ${identity.partitions}, ${wayOut}`;
    throw new BitacoraError('topic-unusable', detail);
  }
}

async function readIdentity(directory: string): Promise<StoredIdentity | undefined> {
  let json: string;
  try {
    json = await readFile(join(directory, 'log.json'), 'utf8');
  } catch (cause) {
    if ((cause as { code?: string }).code === 'ENOENT') return undefined;
    throw new BitacoraError('directory-unusable', `${directory}: log.json cannot be read: ${cause}`, { cause });
  }
  try {
    const { format, clusterId, topic, partitions } = JSON.parse(json) as StoredIdentity;
    return { format, clusterId, topic, partitions };
  } catch (cause) {
    throw unusable(directory, 'log.json is not what was written', cause);
  }
}

/** All or nothing, also over a crash. */
async function writeIdentity(directory: string, identity: StoredIdentity): Promise<void> {
  const path = join(directory, 'log.json');
  try {
    const file = await open(`${path}.new`, 'w');
    await file.writeFile(JSON.stringify(identity));
    await file.sync();
    await file.close();
    await rename(`${path}.new`, path);
    const parent = await open(directory, 'r');
    await parent.sync();
    await parent.close();
  } catch (cause) {
    throw new BitacoraError('directory-unusable', `${path} cannot be written: ${cause}`, { cause });
  }
}

function unusable(directory: string, what: string, cause?: unknown): BitacoraError {
  const detail = `the log in ${directory} is damaged: ${what}. Restore the directory from a copy, or move it away to begin an empty log`;
  return new BitacoraError('topic-unusable', detail, { cause });
}
