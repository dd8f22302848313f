/** `bitacora resync`: a node makes its state anew from the log. */
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { exitCodes } from './exit-codes.ts';
import { callNode, refusalOf } from './node-call.ts';
import { endpointsOf, ProgressLine, type Shell, timeoutOf, UsageError } from './shell.ts';

const help = `bitacora resync: a node makes its state anew from the log

  bitacora resync [--wait]

  --wait                    until it is ready again
  -e, --endpoint URL        the node; default: BITACORA_ENDPOINT, otherwise this machine's
  --timeout TIME            with --wait: how long it may take: 30s, 20m (default 10m)

Its old state is set aside. It is not ready meanwhile, so a balancer sends its clients to the others.

exit code   0 done   1 other   2 asked wrongly   5 no node reached   6 not ready in time
`;

const askEveryMs = 200;

/** Resolves with the exit code. */
export async function resync(argv: readonly string[], shell: Shell): Promise<number> {
  const { env, out, err } = shell;
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        help: { type: 'boolean', short: 'h' },
        wait: { type: 'boolean' },
        endpoint: { type: 'string', short: 'e' },
        timeout: { type: 'string' },
      },
    });
    if (values.help) {
      out.write(help);
      return exitCodes.done;
    }
    const timeoutMs = timeoutOf(values.timeout ?? '10m');
    const [endpoint] = endpointsOf(values.endpoint === undefined ? undefined : [values.endpoint], env);
    const answer = await callNode(endpoint as string, 'POST', '/v1/node/resync', 30_000);
    if (answer.status !== 202) {
      err.write(`bitacora resync: ${refusalOf(answer)}\n`);
      return exitCodes.other;
    }
    if (values.wait === true) return await untilReady(endpoint as string, timeoutMs, shell);
    err.write('it has begun; /readyz and `bitacora health` tell when it is ready\n');
    return exitCodes.done;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const isUsage = error instanceof UsageError || code?.startsWith('ERR_PARSE_ARGS') === true;
    err.write(`bitacora resync: ${message}${isUsage ? '; `bitacora resync --help` says how' : ''}\n`);
    return isUsage ? exitCodes.usage : exitCodes.unreachable;
  }
}

async function untilReady(endpoint: string, timeoutMs: number, { err }: Shell): Promise<number> {
  const progress = new ProgressLine(err);
  const until = performance.now() + timeoutMs;
  // It may not have noticed yet.
  for (let wasAway = false; performance.now() < until; await pause(askEveryMs)) {
    const { body } = await callNode(endpoint, 'GET', '/v1/node', 30_000);
    const { ready, progress: done } = body as { ready: boolean; progress: number };
    if (ready && (wasAway || performance.now() > until - timeoutMs + 2_000)) {
      progress.clear();
      err.write('it is ready\n');
      return exitCodes.done;
    }
    wasAway ||= !ready;
    progress.show(() => `restoring  ${(done * 100).toFixed(1)} %`);
  }
  progress.clear();
  err.write('it is not ready yet\n');
  return exitCodes.timeout;
}
