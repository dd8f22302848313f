/**
 * The Java programs of this folder, ready to run: jars from Maven Central, classes compiled from `shared` and the version's own folder.
 *
 * Both are kept outside the tree between runs, as the jars of test services are, under a name made of what they are made from.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { access, mkdir, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { javaCommand, quickJvm } from '../services/jvm.ts';

const run = promisify(execFile);

/** The Avro of the original, and a present one. */
export const avroVersions = ['1.7.7', '1.12.1'] as const;
export type AvroVersion = (typeof avroVersions)[number];

const here = import.meta.dirname;
const copyDependencies = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies';
/** By its class: a runtime image may hold the compiler and not the command `javac`. */
const compiler = ['--module', 'jdk.compiler/com.sun.tools.javac.Main'];
const toolLimitMs = 300_000;

/** A command that runs `bitacora.Main`; its arguments go behind. Errors: one, in words, that says what to install. */
export async function javaProgram(version: AvroVersion): Promise<{ readonly command: string; readonly args: readonly string[] }> {
  await demand(javaCommand(), ['-version'], 'no Java (17 or newer)');
  const cache = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'bitacora-test');
  await mkdir(cache, { recursive: true });

  const pom = join(here, version, 'pom.xml');
  const libraries = join(cache, `avro-java-${version}-${await hashOf([pom])}`);
  await once(libraries, async (directory) => {
    await demand('mvn', ['-version'], 'no Maven (mvn)');
    await tool('mvn', ['-q', '-B', '-f', pom, copyDependencies, `-DoutputDirectory=${directory}`]);
  });

  // Named one by one: the compiler, unlike the commands, knows no `*`.
  const jars = (await readdir(libraries))
    .sort()
    .map((name) => join(libraries, name))
    .join(delimiter);
  const sources = [...(await sourcesIn('shared')), ...(await sourcesIn(version))];
  const classes = join(cache, `avro-java-${version}-${await hashOf([pom, ...sources])}`);
  await once(classes, async (directory) => {
    await demand(javaCommand(), [...compiler, '-version'], 'a Java without its compiler (a JDK has it)');
    await tool(javaCommand(), [...compiler, '--release', '17', '-encoding', 'UTF-8', '-d', directory, '-cp', jars, ...sources]);
  });
  return { command: javaCommand(), args: [...quickJvm, '-cp', [classes, jars].join(delimiter), 'bitacora.Main'] };
}

async function sourcesIn(folder: string): Promise<string[]> {
  const names = await readdir(join(here, folder));
  return names
    .filter((name) => name.endsWith('.java'))
    .sort()
    .map((name) => join(here, folder, name));
}

async function hashOf(files: readonly string[]): Promise<string> {
  const hash = createHash('sha256');
  for (const file of files) hash.update(await readFile(file));
  return hash.digest('hex').slice(0, 16);
}

/** Fills a directory of its own and renames it, so that `directory` is complete or absent, also when two runs race. */
async function once(directory: string, fill: (directory: string) => Promise<void>): Promise<void> {
  if (await exists(directory)) return;
  const work = await mkdtemp(`${directory}-`);
  try {
    await fill(work);
    await rename(work, directory).catch(async (error: unknown) => {
      if (!(await exists(directory))) throw error; // otherwise another run was faster
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function tool(command: string, args: readonly string[]): Promise<void> {
  try {
    await run(command, args, { timeout: toolLimitMs });
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    // Without the cause, which would print all of it once more, and then again.
    throw new Error(`${command} failed:\n${(stdout + stderr || String(error)).slice(0, 2_000)}`);
  }
}

async function demand(command: string, args: readonly string[], otherwise: string): Promise<void> {
  await run(command, args, { timeout: 60_000 }).catch((cause: unknown) => {
    const way = 'install Java 17 and Maven (scripts/install-test-dependencies.sh on Debian)';
    throw new Error(`Java's Avro clients cannot be run here: ${otherwise}; ${way}`, { cause });
  });
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
