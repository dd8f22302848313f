/** `bitacora resync`: a node makes its state anew from the log. */
import { parseArgs } from 'node:util';
import { exitCodes } from './exit-codes.ts';
import { callNode, refusalOf, untilReady } from './node-call.ts';
import { endpointsOf, ProgressLine, type Shell, timeoutOf, UsageError } from './shell.ts';

const help = `bitacora resync: a node makes its state anew from the log

  bitacora resync [--wait]

  --wait                    until it is ready again
  -e, --endpoint URL        the node; default: BITACORA_ENDPOINT, otherwise this machine's
  --timeout TIME            with --wait: how long it may take: 30s, 20m (default 10m)

Its old state is set aside. It is not ready meanwhile, so a balancer sends its clients to the others.

exit code   0 done   1 other   2 asked wrongly   5 no node reached   6 not ready in time
`;

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
    if (values.wait === true) return await wait(endpoint as string, timeoutMs, shell);
    err.write('it has begun; /readyz and `bitacora health` tell when it is ready\n');
    return exitCodes.done;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const isUsage = error instanceof UsageError || code?.startsWith('ERR_PARSE_ARGS') === true;
    err.write(`bitacora resync: ${message}${isUsage ? '; `bitacora resync --help` says how' : ''}\n`);
    return isUsage ? exitCodes.usage : exitCodes.unreachable;
  }
}

async function wait(endpoint: string, timeoutMs: number, { err }: Shell): Promise<number> {
  const line = new ProgressLine(err);
  const ready = await untilReady(endpoint, timeoutMs, (progress) => line.show(() => `restoring  ${(progress * 100).toFixed(1)} %`));
  line.clear();
  err.write(ready ? 'it is ready\n' : 'it is not ready yet\n');
  return ready ? exitCodes.done : exitCodes.timeout;
}
