/** `bitacora verify`: whether all nodes hold the same, and which does not. */
import { exitCodes } from './exit-codes.ts';
import { callNode, refusalOf, untilReady } from './node-call.ts';
import { type AskedOfNode, askNode } from './node-command.ts';
import type { Shell } from './shell.ts';

const help = `bitacora verify: whether all nodes hold the same

  bitacora verify [--resync] [--json]

  --resync                  nodes that hold something else than most make their state anew from the log, one after the other
  --json                    what was found, as the node tells it
  -e, --endpoint URL        the node that asks the others; default: BITACORA_ENDPOINT, otherwise this machine's
  --timeout TIME            how long the slowest node may take: 30s, 5m (default 60s)

A mark is written into every partition; each node hashes its values there, while it goes on serving.

exit code   0 all agree   1 a node differs, is in doubt, or is silent   2 asked wrongly   5 no node reached
`;

interface Verified {
  readonly agree: boolean;
  readonly partitions: readonly { readonly position: string; readonly entries: number | null; readonly hash: string | null }[];
  readonly nodes: readonly { readonly address: string; readonly result: string; readonly partitions: readonly number[] }[];
}

/** Resolves with the exit code. */
export function verify(argv: readonly string[], shell: Shell): Promise<number> {
  const command = { name: 'verify', help, flags: ['resync', 'json'], usualTimeout: '60s' };
  return askNode(command, argv, shell, (asked) => run(asked, shell));
}

async function run({ endpoint, timeoutMs, has }: AskedOfNode, { out, err }: Shell): Promise<number> {
  // Writing the marks takes its time, too.
  const answer = await callNode(endpoint, 'POST', `/v1/verify?wait=${timeoutMs}ms`, timeoutMs + 30_000);
  if (answer.status !== 200) {
    err.write(`bitacora verify: ${refusalOf(answer)}\n`);
    return exitCodes.other;
  }
  const verified = answer.body as Verified;
  out.write(has('json') ? `${JSON.stringify(verified)}\n` : tableOf(verified));
  if (has('resync')) await mend(verified, timeoutMs, err);
  return verified.agree ? exitCodes.done : exitCodes.other;
}

/** One after the other, so that no more than one node at a time is not ready; and none of those of which nobody can say who is right. */
async function mend({ nodes, partitions }: Verified, timeoutMs: number, err: Shell['err']): Promise<void> {
  for (const { address, result, partitions: of } of nodes) {
    if (result !== 'differs') continue;
    if (of.every((partition) => partitions[partition]?.hash === null)) {
      err.write(`${address} is left alone: as many nodes hold one thing as another, and \`bitacora resync\` is for you to decide\n`);
      continue;
    }
    const url = `http://${address}`;
    const told = await callNode(url, 'POST', '/v1/node/resync', timeoutMs);
    err.write(told.status === 202 ? `${address} makes its state anew from the log\n` : `${address}: ${refusalOf(told)}\n`);
    if (told.status === 202 && !(await untilReady(url, timeoutMs, () => undefined))) {
      err.write(`${address} is not ready yet: the others are left alone\n`);
      return;
    }
  }
}

function tableOf({ agree, partitions, nodes }: Verified): string {
  const width = Math.max(4, ...nodes.map(({ address }) => address.length));
  const entries = partitions.reduce((sum, each) => sum + (each.entries ?? 0), 0);
  const lines = nodes.map(({ address, result, partitions: of }) => {
    return `${address.padEnd(width)}  ${result}${of.length === 0 ? '' : `  partition ${of.join(', ')}`}`;
  });
  const verdict = agree ? `all ${nodes.length} agree on ${entries} values` : 'not all agree';
  return `${lines.join('\n')}\n${verdict} at ${partitions.map(({ position }) => position).join(',')}\n`;
}
