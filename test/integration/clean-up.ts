/** What a test file has started, ended in reverse order by `afterEach(cleanUp)` or `afterAll(cleanUp)`. */
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const undo: (() => unknown)[] = [];

/** Remembers how something is ended. */
export function atCleanUp(end: () => unknown): void {
  undo.push(end);
}

/** Ends everything, also when one of the ends fails; the first failure is thrown at the end. */
export async function cleanUp(): Promise<void> {
  const failures: unknown[] = [];
  for (const end of undo.splice(0).reverse()) {
    try {
      await end();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
}

/** A directory of the test's own, removed at the clean-up. */
export async function newDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'bitacora-integration-'));
  atCleanUp(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/**
 * Kills what is left when this process is gone, however it went: a shell that reads `+ pid` and `- pid` and outlives us by an instant.
 * A test run that is itself killed must not leave nodes behind.
 */
const script = `all=" "
while read -r op pid; do
  case $op in
    +) all="$all$pid " ;;
    -) left=" "; for each in $all; do [ "$each" = "$pid" ] || left="$left$each "; done; all=$left ;;
  esac
done
for pid in $all; do kill -9 "$pid" 2>/dev/null; done`;

let reaper: NodeJS.WritableStream | undefined;

function tell(line: string): void {
  if (reaper === undefined) {
    const shell = spawn('sh', ['-c', script], { detached: true, stdio: ['pipe', 'ignore', 'ignore'] });
    shell.unref();
    reaper = shell.stdin;
    (reaper as unknown as { unref(): void }).unref();
  }
  reaper.write(`${line}\n`);
}

/** A child that must not outlive this process. */
export function watchOver(pid: number): void {
  tell(`+ ${pid}`);
}

/** The child has ended: its number may soon be another's. */
export function forget(pid: number): void {
  tell(`- ${pid}`);
}
