/**
 * What a person at a terminal sees: a first screen that says what runs where and what to try, and a bar while the node restores. On a
 * pipe the same is said in log lines.
 */
import type { Logger, NodeStatus } from '../ports.ts';
import type { Node } from './compose.ts';
import type { Config } from './config/config.ts';
import { version } from './version.ts';

const barWidth = 20;
const barEveryMs = 100;
const lineEveryMs = 5_000;

/** Says where the node listens. */
export function showFirstScreen(node: Node, config: Config, logger: Logger): void {
  const { host, port } = node.listening;
  logger.info(
    {
      event: 'node.listening',
      version,
      log: config.log,
      http: `${host}:${port}`,
      avro: node.avro && `${node.avro.host}:${node.avro.port}`,
      address: node.address,
      membership: node.membership.kind,
    },
    'listening',
  );
  if (!process.stdout.isTTY) return;
  const url = `http://127.0.0.1:${port}`;
  const where: Record<string, string> = {
    embedded: `embedded, in ${config.dataDirectory}`,
    kafka: `Kafka at ${config.brokers.join(',')}, topic ${config.topic}`,
    memory: 'in memory, gone when you quit',
  };
  process.stdout.write(`
  Bitácora ${version}
  log      ${where[config.log]}
  members  ${config.zookeeperHosts === undefined ? (node.membership.kind === 'none' ? 'this node alone' : config.members.join(', ')) : `ZooKeeper at ${config.zookeeperHosts}`}
  http     ${url}      /health /readyz /metrics
  avro     ${node.avro === undefined ? 'off' : `127.0.0.1:${node.avro.port}      bitacora rpc get hello`}

  try      curl -X POST '${url}/rpc?key=hello&value=world'
           curl '${url}/rpc?key=hello'
           curl -X DELETE '${url}/rpc?key=hello'

`);
}

/** Shows the restore until the node is ready; returns how to stop showing. */
export function showRestore(status: () => NodeStatus, logger: Logger): () => void {
  const terminal = process.stderr.isTTY === true;
  let shown = false;
  const timer = setInterval(
    () => {
      const now = status();
      if (now.state === 'ready' || now.state === 'draining') {
        if (shown && terminal) process.stderr.write('\r\x1b[K');
        shown = false;
        return;
      }
      if (terminal) {
        process.stderr.write(`\r\x1b[K${restoreLine(now)}`);
        shown = true;
        return;
      }
      logger.info(
        {
          event: 'restore.progress',
          state: now.state,
          percent: Math.floor(now.progress * 1_000) / 10,
          records: now.recordsApplied,
          records_per_second: now.recordsPerSecond,
          eta_s: now.secondsLeft,
          reason: now.reason,
        },
        'restoring',
      );
    },
    terminal ? barEveryMs : lineEveryMs,
  );
  timer.unref();
  return () => clearInterval(timer);
}

/** `restore ███████████░░░░░░░░░ 58 %  702 k/1.21 M offsets  182 k/s  at most 3 s`, by position: compaction leaves fewer records than offsets. */
export function restoreLine(status: NodeStatus): string {
  if (status.ends.length === 0) return `${status.state}: ${status.reason ?? 'looking for the log'}`;
  const filled = Math.floor(status.progress * barWidth);
  const bar = '█'.repeat(filled) + '░'.repeat(barWidth - filled);
  const sum = (offsets: readonly number[]) => offsets.reduce((total, offset) => total + offset, 0);
  const left = status.secondsLeft === undefined ? '' : `  at most ${status.secondsLeft} s`;
  const percent = Math.floor(status.progress * 100);
  return `restore ${bar} ${percent} %  ${short(sum(status.applied))}/${short(sum(status.ends))} offsets  ${short(status.recordsPerSecond)}/s${left}`;
}

function short(count: number): string {
  if (count < 10_000) return String(count);
  return count < 999_500 ? `${Math.round(count / 1_000)} k` : `${(count / 1_000_000).toFixed(2)} M`;
}
