/** `bitacora topic skipped`: records of the topic that a node could not understand. */
import { exitCodes } from './exit-codes.ts';
import { callNode, refusalOf } from './node-call.ts';
import { askNode } from './node-command.ts';
import type { Shell } from './shell.ts';

const help = `bitacora topic skipped: records of the topic that a node could not understand, and does not serve

  bitacora topic skipped [--json]

  --json                    as the node tells it
  -e, --endpoint URL        the node; default: BITACORA_ENDPOINT, otherwise this machine's
  --timeout TIME            how long it may take to answer (default 30s)

The newest 20 since the node was started, by place, reason and key. docs/operations.md tells the reasons.

exit code   0 done   2 asked wrongly   5 no node reached
`;

const command = {
  name: 'topic',
  flags: ['json'],
  words: { expected: 'skipped', otherwise: 'what is to be told of the topic is `skipped`' },
  usualTimeout: '30s',
};

interface Skipped {
  readonly count: number;
  readonly newest: readonly { readonly position: string; readonly key: string; readonly reason: string }[];
}

/** Resolves with the exit code. */
export function topic(argv: readonly string[], shell: Shell): Promise<number> {
  const { out, err } = shell;
  return askNode({ ...command, help }, argv, shell, async ({ endpoint, timeoutMs, has }) => {
    const answer = await callNode(endpoint, 'GET', '/v1/node', timeoutMs);
    if (answer.status !== 200) throw new Error(refusalOf(answer));
    const { skipped = { count: 0, newest: [] } } = answer.body as { skipped?: Skipped };
    if (has('json')) out.write(`${JSON.stringify(skipped)}\n`);
    // A key may hold anything: quoted, it stays on its line.
    else for (const { position, key, reason } of skipped.newest) out.write(`${position}  ${reason}  ${JSON.stringify(key)}\n`);
    err.write(`${skipped.count} since the node was started\n`);
    return exitCodes.done;
  });
}
