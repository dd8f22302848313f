/** `bitacora topic skipped`: records of the topic that a node could not understand. */
import { parseArgs } from 'node:util';
import { exitCodes } from './exit-codes.ts';
import { callNode, refusalOf } from './node-call.ts';
import { endpointsOf, type Shell, timeoutOf, UsageError } from './shell.ts';

const help = `bitacora topic skipped: records of the topic that a node could not understand, and does not serve

  bitacora topic skipped [--json]

  --json                    as the node tells it
  -e, --endpoint URL        the node; default: BITACORA_ENDPOINT, otherwise this machine's
  --timeout TIME            how long it may take to answer (default 30s)

The newest 20 since the node was started, by place, reason and key. docs/operations.md tells the reasons.

exit code   0 done   2 asked wrongly   5 no node reached
`;

interface Skipped {
  readonly count: number;
  readonly newest: readonly { readonly position: string; readonly key: string; readonly reason: string }[];
}

/** Resolves with the exit code. */
export async function topic(argv: readonly string[], { env, out, err }: Shell): Promise<number> {
  try {
    const { values, positionals } = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        help: { type: 'boolean', short: 'h' },
        json: { type: 'boolean' },
        endpoint: { type: 'string', short: 'e' },
        timeout: { type: 'string' },
      },
    });
    if (values.help) {
      out.write(help);
      return exitCodes.done;
    }
    if (positionals.join(' ') !== 'skipped') throw new UsageError('what is to be told of the topic is `skipped`');
    const [endpoint] = endpointsOf(values.endpoint === undefined ? undefined : [values.endpoint], env);
    const answer = await callNode(endpoint as string, 'GET', '/v1/node', timeoutOf(values.timeout));
    if (answer.status !== 200) throw new Error(refusalOf(answer));
    const { skipped = { count: 0, newest: [] } } = answer.body as { skipped?: Skipped };
    if (values.json === true) out.write(`${JSON.stringify(skipped)}\n`);
    // A key may hold anything: quoted, it stays on its line.
    else for (const { position, key, reason } of skipped.newest) out.write(`${position}  ${reason}  ${JSON.stringify(key)}\n`);
    err.write(`${skipped.count} since the node was started\n`);
    return exitCodes.done;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const isUsage = error instanceof UsageError || code?.startsWith('ERR_PARSE_ARGS') === true;
    err.write(`bitacora topic: ${message}${isUsage ? '; `bitacora topic --help` says how' : ''}\n`);
    return isUsage ? exitCodes.usage : exitCodes.unreachable;
  }
}
