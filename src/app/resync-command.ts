/** `bitacora resync`: a node makes its state anew from the log. */
import { exitCodes } from './exit-codes.ts';
import { callNode, refusalOf, untilReady } from './node-call.ts';
import { askNode } from './node-command.ts';
import { ProgressLine, type Shell } from './shell.ts';

const help = `bitacora resync: a node makes its state anew from the log

  bitacora resync [--wait]

  --wait                    until it is ready again
  -e, --endpoint URL        the node; default: BITACORA_ENDPOINT, otherwise this machine's
  --timeout TIME            with --wait: how long it may take: 30s, 20m (default 10m)

Its old state is set aside. It is not ready meanwhile, so a balancer sends its clients to the others.

exit code   0 done   1 other   2 asked wrongly   5 no node reached   6 not ready in time
`;

/** Resolves with the exit code. */
export function resync(argv: readonly string[], shell: Shell): Promise<number> {
  const { err } = shell;
  const command = { name: 'resync', help, flags: ['wait'], usualTimeout: '10m' };
  return askNode(command, argv, shell, async ({ endpoint, timeoutMs, has }) => {
    const answer = await callNode(endpoint, 'POST', '/v1/node/resync', 30_000);
    if (answer.status !== 202) {
      err.write(`bitacora resync: ${refusalOf(answer)}\n`);
      return exitCodes.other;
    }
    if (has('wait')) return wait(endpoint, timeoutMs, shell);
    err.write('it has begun; /readyz and `bitacora health` tell when it is ready\n');
    return exitCodes.done;
  });
}

async function wait(endpoint: string, timeoutMs: number, { err }: Shell): Promise<number> {
  const line = new ProgressLine(err);
  const ready = await untilReady(endpoint, timeoutMs, (progress) => line.show(() => `restoring  ${(progress * 100).toFixed(1)} %`));
  line.clear();
  err.write(ready ? 'it is ready\n' : 'it is not ready yet\n');
  return ready ? exitCodes.done : exitCodes.timeout;
}
