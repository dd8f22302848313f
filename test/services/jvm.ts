/** A server as a Java process of our own. */
import { mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Guardian } from './guardian.ts';
import type { Server } from './server.ts';

/** A new directory under the system's temporary one, for one service. */
export function newDataDirectory(name: string): Promise<string> {
  return mkdtemp(join(tmpdir(), `bitacora-test-${name}-`));
}

/** The `java` to run: of JAVA_HOME when that is set, else the one on the path. */
export function javaCommand(): string {
  const home = process.env['JAVA_HOME'];
  return home ? join(home, 'bin', 'java') : 'java';
}

/** Flags that start a JVM quickly and keep it small: these servers live for a minute. */
export const quickJvm = ['-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Xshare:auto', '-XX:-UsePerfData', '-Djava.awt.headless=true'];

/** slf4j-simple writes no times by default, and a log without times explains no delay. */
const logTimes = ['-Dorg.slf4j.simpleLogger.showDateTime=true', '-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS'];

/** Graceful ends are bounded: a broker whose controller is gone would wait for minutes. */
const terminateLimitMs = 15_000;

/**
 * A server that runs `java args` and keeps everything it writes in `directory`.
 *
 * Nothing runs yet; the directory is deleted by `dispose`, or when this process ends.
 */
export function jvmServer(name: string, directory: string, args: readonly string[]): Server {
  const guardian = new Guardian({ directory });
  const log = join(directory, 'server.log');

  async function kill(): Promise<void> {
    const gone = guardian.childGone();
    await guardian.signal('SIGKILL'); // also ends a stopped process
    await gone;
  }

  return {
    name,
    start: () => guardian.start(javaCommand(), [...quickJvm, ...logTimes, ...args], log),
    pause: () => guardian.signal('SIGSTOP'),
    resume: () => guardian.signal('SIGCONT'),
    kill,
    async terminate() {
      const gone = guardian.childGone();
      await guardian.signal('SIGCONT'); // a stopped process would not hear the next one
      await guardian.signal('SIGTERM');
      const timer = setTimeout(() => void kill(), terminateLimitMs);
      await gone;
      clearTimeout(timer);
    },
    dispose: () => guardian.close(),
    ended: async () => (guardian.pid === undefined ? (guardian.exit ?? 'never started') : undefined),
    async logTail() {
      const text = await readFile(log, 'utf8').catch(() => '(no log)');
      return text.split('\n').slice(-40).join('\n');
    },
  };
}
