/**
 * Stands between a test process and what it has started, so that nothing is left behind.
 *
 * Standard input is a pipe from the test process. However that process ends (SIGKILL included), the pipe closes, and the
 * guardian ends its child, removes its containers and deletes its directory. It runs in a session of its own, so a
 * Ctrl-C meant for the tests does not end it before it has cleaned up.
 *
 * The child is signalled here, by its parent, because only the parent knows for certain that the pid is still the child's.
 * Plain JavaScript: it must start in a few tens of milliseconds on a Node without type stripping.
 *
 * argv[2]: JSON `{ directory?: string, label?: string }`: what to remove at the end; a label is `key=value` of containers and networks.
 * stdin, one JSON a line: `{ "start": { command, args, log } }`, `{ "signal": "SIGSTOP" }`, or `{ "forget": "label" }`
 * stdout, one JSON a line: `{ "pid": 1 }`, `{ "signalled": true }`, `{ "exit": "code 1" }`
 */
import { spawn } from 'node:child_process';
import { closeSync, openSync, rmSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';

const estate = JSON.parse(process.argv[2] ?? '{}');

/** @type {import('node:child_process').ChildProcess | undefined} */
let child;

/** @param {object} message */
function say(message) {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

/** @param {{ command: string, args: string[], log: string }} start */
function start({ command, args, log }) {
  const file = openSync(log, 'a');
  const started = spawn(command, args, { stdio: ['ignore', file, file] });
  closeSync(file);
  child = started;
  started.on('error', (error) => {
    child = undefined;
    say({ exit: error.message });
  });
  started.on('exit', (code, signal) => {
    child = undefined;
    say({ exit: signal ?? `code ${code}` });
  });
  if (started.pid !== undefined) say({ pid: started.pid });
}

async function removeContainers() {
  const { getContainerRuntimeClient } = await import('testcontainers');
  const { dockerode } = (await getContainerRuntimeClient()).container;
  const filters = JSON.stringify({ label: [estate.label] });
  // A create request that was under way when the tests died may finish after the first look.
  for (let look = 0; look < 3; look += 1) {
    for (const { Id } of await dockerode.listContainers({ all: true, filters })) {
      await dockerode
        .getContainer(Id)
        .remove({ force: true, v: true })
        .catch((error) => process.stderr.write(`${error}\n`));
    }
    for (const { Id } of await dockerode.listNetworks({ filters })) {
      await dockerode
        .getNetwork(Id)
        .remove()
        .catch((error) => process.stderr.write(`${error}\n`));
    }
    await delay(1000);
  }
}

let ending = false;
async function end() {
  if (ending) return;
  ending = true;
  if (child !== undefined) {
    const gone = new Promise((resolve) => child?.once('exit', resolve));
    child.kill('SIGKILL');
    await gone;
  }
  if (estate.directory) rmSync(estate.directory, { recursive: true, force: true });
  if (estate.label) await removeContainers();
  process.exit(0);
}

const lines = createInterface({ input: process.stdin });
lines.on('line', (line) => {
  const command = JSON.parse(line);
  if (command.start) start(command.start);
  else if (command.forget) estate.label = undefined;
  else say({ signalled: child?.kill(command.signal) ?? false });
});
lines.on('close', end);
// The reader of our answers is gone together with the writer of stdin, which is the event that counts.
process.stdout.on('error', end);
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, end);
