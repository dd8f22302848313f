/** `GET /v1/node`: this node's own word. */
import { formatPosition, formatToken, logOf, newestSeen } from '../../../src/core/position.ts';
import type { NodeStatus, Partition, Position } from '../../../src/ports.ts';
import type { Route } from '../exchange.ts';
import { answering, jsonAnswer } from './answering.ts';
import { getNode } from './node-operations.ts';
import { maxBatchBytes, type V1Rooms } from './rooms.ts';
import type { Static } from './schema.ts';
import { maxOperations, type NodeBody } from './shapes.ts';

/** What the face can do: callers ask for this, not for a version. */
const supports = [
  'conditions',
  'idempotency',
  'ttl',
  'session',
  'latest',
  'linearizable',
  'list',
  'batch',
  'atomic-batch',
  'prefix-delete',
  'watch',
  'history',
  'read-at',
  'revert',
  'export',
  'seal',
];
const maxListItems = 1_000;
const mostSkipped = 20;

export function nodeRoute(rooms: V1Rooms): Route {
  return { path: getNode.path, methods: { GET: answering(rooms, getNode, () => jsonAnswer(nodeReport(rooms))) } };
}

export function nodeReport({ keyValue, limits, node, version }: V1Rooms): Static<typeof NodeBody> {
  const { state, reason, ready, writable, sealed, stale, progress, lagMs, log, genesis, applied, entries } = keyValue.status;
  return {
    node,
    version,
    state,
    reason: reason ?? null,
    ready,
    writable,
    sealed,
    stale,
    progress: Math.floor(progress * 1_000) / 1_000,
    applied: appliedToken({ applied, genesis }),
    lag_ms: Math.round(lagMs),
    log,
    genesis: genesis ?? null,
    partitions: applied.length,
    entries,
    skipped: {
      count: keyValue.skipped.length,
      newest: keyValue.skipped
        .slice(-mostSkipped)
        .map(({ position, key, reason: why }) => ({ position: formatPosition(position), key, reason: why })),
    },
    limits: {
      value_bytes: limits.maxValueBytes,
      header_bytes: limits.maxHeaderBytes,
      batch_operations: maxOperations,
      batch_bytes: maxBatchBytes(limits.maxValueBytes),
      list_items: maxListItems,
    },
    supports,
  };
}

function appliedToken({ applied, genesis }: Pick<NodeStatus, 'applied' | 'genesis'>): string {
  const positions = applied.flatMap((offset, partition): Position[] => {
    const newest = newestSeen({ partition: partition as Partition, offset });
    return newest === undefined ? [] : [newest];
  });
  return formatToken({ positions, log: genesis === undefined ? undefined : logOf(genesis) });
}
