/** Which way a service of our own is run: a container, a Java process, or not at all. */
import { dockerObstacle } from './docker.ts';
import { javaObstacle } from './java-libraries.ts';

export type Way = 'docker' | 'java';

export interface Candidate {
  /** As people call it, with its version. */
  readonly title: string;
  readonly image: string;
  /** The name of its jars in the cache. */
  readonly jars: string;
}

/**
 * Decides once for a whole test run and says so on stderr.
 *
 * The decision is kept in the environment, which test workers inherit: they do not try a pull again that failed, and
 * do not say again what was said.
 *
 * @throws Error naming what to install when neither way is open.
 */
export async function chooseWay(candidate: Candidate): Promise<Way> {
  const memory = `BITACORA_TEST_WAY_${candidate.jars.replaceAll(/\W/g, '_').toUpperCase()}`;
  const known = process.env[memory];
  if (known === 'docker' || known === 'java') return known;
  const { way, reason } = await decide(candidate);
  process.env[memory] = way;
  announce(`${candidate.title}: ${way === 'docker' ? `container ${candidate.image}` : 'Java process'}${reason ? ` (${reason})` : ''}`);
  return way;
}

/** One line about where a service comes from. */
export function announce(line: string): void {
  process.stderr.write(`test services: ${line}\n`);
}

async function decide(candidate: Candidate): Promise<{ way: Way; reason?: string }> {
  const forced = forcedWay();
  const noDocker = forced === 'java' ? 'TEST_SERVICES=java' : await dockerObstacle(candidate.image);
  if (noDocker === undefined) return { way: 'docker' };
  const noJava = forced === 'docker' ? 'TEST_SERVICES=docker' : await javaObstacle(candidate.jars);
  if (noJava === undefined) return { way: 'java', reason: noDocker };
  throw new Error(
    `${candidate.title} cannot be started for tests: ${noDocker}; ${noJava}. ` +
      'Install Docker, or Java 17 with Maven (scripts/install-test-dependencies.sh on Debian).',
  );
}

function forcedWay(): Way | undefined {
  const value = process.env['TEST_SERVICES'];
  // `env` forces the shared services only (shared.ts): what a fault test breaks must be ours.
  if (value === undefined || value === '' || value === 'env') return undefined;
  if (value === 'docker' || value === 'java') return value;
  throw new Error(`TEST_SERVICES is docker, java or env, not "${value}"`);
}
