/** Every operation of `/v1`, in the order in which they are told: the one list that the document and the page are made from. */
import { postBatch } from './batch-operations.ts';
import { exportKeys } from './export-operations.ts';
import { getHistory, revertKey } from './history-operations.ts';
import { deleteValue, getValue, putValue } from './key-operations.ts';
import { deletePrefix, listKeys } from './list-operations.ts';
import { getCluster, getDocs, getNode, getOpenApi } from './node-operations.ts';
import type { Operation } from './operation.ts';
import { sealLog, unsealLog } from './seal-operations.ts';
import { getDigests, resyncNode, verifyNodes } from './verify-operations.ts';
import { watchKeys } from './watch-operations.ts';

export const operations: readonly Operation[] = [
  getValue,
  putValue,
  deleteValue,
  listKeys,
  deletePrefix,
  exportKeys,
  postBatch,
  watchKeys,
  getHistory,
  revertKey,
  getNode,
  getCluster,
  verifyNodes,
  getDigests,
  resyncNode,
  sealLog,
  unsealLog,
  getOpenApi,
  getDocs,
];
