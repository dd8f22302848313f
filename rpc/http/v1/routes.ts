/** All of `/v1`. */
import type { Route, Tell } from '../exchange.ts';
import { batchRoute } from './batch-route.ts';
import { clusterRoute } from './cluster-route.ts';
import { docsRoutes } from './docs-route.ts';
import { exportRoute } from './export-route.ts';
import { historyRoute } from './history-route.ts';
import { keyRoute } from './key-route.ts';
import { listRoute } from './list-route.ts';
import { nodeRoute } from './node-route.ts';
import { problemAnswer } from './problem.ts';
import { revertRoute } from './revert-route.ts';
import type { V1Rooms } from './rooms.ts';
import { sealRoute } from './seal-route.ts';
import { type Giving, snapshotRoute } from './snapshot-route.ts';
import { verifyRoutes } from './verify-route.ts';
import { watchRoute } from './watch-route.ts';

export function v1Routes(rooms: V1Rooms): readonly Route[] {
  const data = [keyRoute(rooms), listRoute(rooms), batchRoute(rooms), watchRoute(rooms), historyRoute(rooms), revertRoute(rooms)];
  return [
    ...data,
    exportRoute(rooms),
    nodeRoute(rooms),
    clusterRoute(rooms),
    ...verifyRoutes(rooms),
    sealRoute(rooms),
    ...docsRoutes(rooms),
  ];
}

/** What nodes ask of one another under `/v1`, and nobody else: it is not in the document. */
export function internalRoutes(rooms: V1Rooms, giving: Giving = { source: () => undefined, bytesPerSecond: 0 }): readonly Route[] {
  return [snapshotRoute(rooms, giving)];
}

/** How a failure outside an operation is told: no such path, no such method. */
export function tellV1(rooms: V1Rooms): Tell {
  const { node, logger, freshness } = rooms;
  return (error, headers = []) => problemAnswer(error, { node, headers: [...headers, ...freshness()] }, logger);
}
