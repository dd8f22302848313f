/**
 * The HTTP client of Bitácora: `import { Bitacora } from 'bitacora/client/http'`. Without dependencies; for Node.
 *
 * ```ts
 * const kv = new Bitacora({ endpoints: ['http://n1:8082', 'http://n2:8082'] });
 * await kv.put('greeting', 'hello');
 * await kv.get('greeting'); // 'hello', whichever node answers
 * await kv.update('counter', (record) => String(Number(record?.text() ?? 0) + 1));
 * await kv.close();
 * ```
 */
export type { KeyRecord, Value, ValueOptions } from '../client.ts';
export { ClientConnectionError, ClientError, type ClientErrorCode, type Tried } from '../errors.ts';
export { Bitacora, type HttpSurroundings } from './bitacora.ts';
export type { BitacoraSession } from './bitacora-session.ts';
export { type CompleteSince, HistoryCompactedError, VersionConflictError } from './failures.ts';
export type { Work } from './lock.ts';
export { type Held, LockError, type LockOptions } from './lock-terms.ts';
export type { BitacoraOptions, HttpBounds, TlsOptions } from './options.ts';
export type {
  BatchOperation,
  BatchOptions,
  BatchResult,
  CallOptions,
  Condition,
  Consistency,
  Content,
  Count,
  Deadline,
  DeleteVersion,
  GetOptions,
  History,
  HistoryOptions,
  KeyVersion,
  ListedRecord,
  ListOptions,
  Moment,
  NodeOptions,
  NodeReport,
  Page,
  PutOptions,
  PutVersion,
  ReadOptions,
  RevertOptions,
  StoredRecord,
  UpdateOptions,
  WriteOptions,
  Written,
} from './types.ts';
export type { Change } from './update.ts';
export type { Watching, WatchOptions } from './watch.ts';
export type { WatchDelete, WatchEvent, WatchPut, WatchReset, WatchSync } from './watch-events.ts';
