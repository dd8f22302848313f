/** The jars of Kafka and ZooKeeper, from Maven Central, kept between runs. */
import { execFile } from 'node:child_process';
import { access, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { javaCommand } from './jvm.ts';

const run = promisify(execFile);

/** A fixed version, because Maven's default one is as old as Maven itself. */
const copyDependencies = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies';
const downloadLimitMs = 300_000;

interface Artifact {
  readonly group: string;
  readonly name: string;
  readonly version: string;
  /** Artifacts it asks for and must not get, as `group:name`. */
  readonly without?: readonly string[];
}

const slf4jSimple: Artifact = { group: 'org.slf4j', name: 'slf4j-simple', version: '1.7.36' };

/** The class path of a Kafka broker. */
export function kafkaClassPath(version: string): Promise<string> {
  return classPath(`kafka-${version}`, [{ group: 'org.apache.kafka', name: 'kafka_2.13', version }, slf4jSimple]);
}

/** The class path of a ZooKeeper server. */
export function zooKeeperClassPath(version: string): Promise<string> {
  return classPath(`zookeeper-${version}`, [
    // logback, without a configuration, logs every packet.
    {
      group: 'org.apache.zookeeper',
      name: 'zookeeper',
      version,
      without: ['ch.qos.logback:logback-classic', 'ch.qos.logback:logback-core'],
    },
    // The server needs these two and its POM leaves them to the distribution.
    { group: 'io.dropwizard.metrics', name: 'metrics-core', version: '4.1.12.1' },
    { group: 'org.xerial.snappy', name: 'snappy-java', version: '1.1.10.5' },
    slf4jSimple,
  ]);
}

/** Why servers cannot run from jars here, or undefined when they can. Maven counts as present when the jars are. */
export async function javaObstacle(cacheName: string): Promise<string | undefined> {
  const answers = (command: string): Promise<boolean> =>
    run(command, ['-version'], { timeout: 30_000 }).then(
      () => true,
      () => false,
    );
  if (!(await answers(javaCommand()))) return 'no Java runtime (17 or newer)';
  if (!(await exists(librariesOf(cacheName))) && !(await answers('mvn'))) return 'no Maven (mvn)';
  return undefined;
}

function librariesOf(cacheName: string): string {
  return join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'bitacora-test', cacheName, 'libs');
}

async function classPath(cacheName: string, artifacts: readonly Artifact[]): Promise<string> {
  const libraries = librariesOf(cacheName);
  if (!(await exists(libraries))) await download(libraries, artifacts);
  return join(libraries, '*');
}

/** Fills a directory of its own and renames it, so that `libraries` is complete or absent, also when two runs race. */
async function download(libraries: string, artifacts: readonly Artifact[]): Promise<void> {
  await mkdir(dirname(libraries), { recursive: true });
  const work = await mkdtemp(join(dirname(libraries), 'download-'));
  try {
    await writeFile(join(work, 'pom.xml'), pom(artifacts));
    const complete = join(work, 'libs');
    await run('mvn', ['-q', '-B', '-f', join(work, 'pom.xml'), copyDependencies, `-DoutputDirectory=${complete}`], {
      timeout: downloadLimitMs,
    });
    await rename(complete, libraries).catch(async (error: unknown) => {
      if (!(await exists(libraries))) throw error; // otherwise another run was faster
    });
  } catch (error) {
    const output = error instanceof Error && 'stdout' in error ? String(error.stdout) : '';
    throw new Error(`Maven could not bring the jars of ${artifacts.map(coordinates).join(', ')}:\n${output.slice(-2000)}`, {
      cause: error,
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

function coordinates({ group, name, version }: Artifact): string {
  return `${group}:${name}:${version}`;
}

function pom(artifacts: readonly Artifact[]): string {
  const named = (coordinate: string): string => {
    const [group, name] = coordinate.split(':');
    return `<groupId>${group}</groupId><artifactId>${name}</artifactId>`;
  };
  const dependencies = artifacts.map(({ group, name, version, without = [] }) => {
    const exclusions = without.map((coordinate) => `<exclusion>${named(coordinate)}</exclusion>`).join('');
    return `<dependency>${named(`${group}:${name}`)}<version>${version}</version><exclusions>${exclusions}</exclusions></dependency>`;
  });
  return `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>bitacora</groupId><artifactId>test-services</artifactId><version>1</version><packaging>pom</packaging>
<dependencies>${dependencies.join('\n')}</dependencies></project>\n`;
}
