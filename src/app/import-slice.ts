/** What happens to some items of an import at once, as its mode has it: what is there already, what is written, what stands in the way. */
import { ClientError } from '../../client/errors.ts';
import type { BatchOperation, BatchResult, BitacoraSession } from '../../client/http/index.ts';
import type { ExportItem } from '../../wire/export-reader.ts';
import { settle } from './patient-batch.ts';

/** What to do with a key that is there: stop unless it is the same, leave it, write over it. */
export type OnConflict = 'fail' | 'skip' | 'overwrite';

export interface ImportItem extends ExportItem {
  /** The same for the same item of the same import, and no other. */
  readonly id: string;
}

/** `created` and `replaced` in a dry run only, `written` in the others. */
export type Came = 'created' | 'replaced' | 'written' | 'unchanged' | 'skipped' | 'expired' | 'conflict';

export interface SliceOptions {
  readonly kv: BitacoraSession;
  readonly onConflict: OnConflict;
  readonly dryRun: boolean;
  readonly timeoutMs: number;
  /** The largest value that goes into a batch; others go alone, as bytes. */
  readonly maxBatchedBytes: number;
}

/** Clocks of nodes may be ahead by so much: a deadline that they call past is. */
const skewMs = 60_000;

/** What each came to, in their order. Errors: what a node says that will not change, with the key; the last one when nothing moves. */
export async function importSlice(items: readonly ImportItem[], options: SliceOptions): Promise<readonly Came[]> {
  const now = Date.now();
  const came = new Map<ImportItem, Came>();
  const live = items.filter((item) => item.expires === undefined || item.expires > now);
  if (options.dryRun) await compare(live, options, came);
  else await write(live, options, came);
  return items.map((item) => came.get(item) ?? 'expired');
}

async function compare(items: readonly ImportItem[], options: SliceOptions, came: Map<ImportItem, Came>): Promise<void> {
  const ifThere = { fail: 'conflict', skip: 'skipped', overwrite: 'replaced' } as const;
  for (const [index, { found }] of (await currents(items, options)).entries()) {
    const item = items[index] as ImportItem;
    came.set(item, found === undefined ? 'created' : isSame(item, found) ? 'unchanged' : ifThere[options.onConflict]);
  }
}

async function write(items: readonly ImportItem[], options: SliceOptions, came: Map<ImportItem, Came>): Promise<void> {
  const { onConflict } = options;
  const inTheWay: ImportItem[] = [];
  for (const [index, { error }] of (await puts(items, options)).entries()) {
    const item = items[index] as ImportItem;
    if (error === undefined) came.set(item, 'written');
    else if (error.code === 'version-conflict' && onConflict === 'skip') came.set(item, 'skipped');
    else if (error.code === 'version-conflict') inTheWay.push(item);
    else if (!hasPassed(item, error)) throw refusedFor(item, error);
  }
  // What an earlier run of this import has written is no conflict, nor is what is the same anyway.
  for (const [index, { found }] of (await currents(inTheWay, options)).entries()) {
    const item = inTheWay[index] as ImportItem;
    came.set(item, found !== undefined && isSame(item, found) ? 'unchanged' : 'conflict');
  }
}

async function puts(items: readonly ImportItem[], { kv, onConflict, timeoutMs, maxBatchedBytes }: SliceOptions) {
  const small = items.filter(({ value }) => value.length <= maxBatchedBytes);
  const operations = small.map((item) => ({ op: 'put', ...putOf(item, onConflict) }) satisfies BatchOperation);
  const results = new Map<ImportItem, BatchResult>();
  if (small.length > 0) {
    for (const [index, result] of (await settle(kv, operations, { timeoutMs })).entries()) results.set(small[index] as ImportItem, result);
  }
  const alone = {
    batch: async ([operation]: readonly BatchOperation[]): Promise<readonly BatchResult[]> => {
      const { key, value, ...rest } = operation as Extract<BatchOperation, { op: 'put' }>;
      return [{ key, status: 200, written: await kv.put(key, value, { ...rest, timeoutMs }) }];
    },
  };
  for (const item of items) {
    if (results.has(item)) continue;
    const [result] = await settle(alone, [{ op: 'put', ...putOf(item, onConflict) }], { timeoutMs });
    results.set(item, result as BatchResult);
  }
  return items.map((item) => results.get(item) as BatchResult);
}

function putOf({ key, value, contentType, expires, id }: ImportItem, onConflict: OnConflict) {
  const deadline = expires === undefined ? undefined : new Date(expires);
  // Written over, a value may be written twice; nodes need not remember that it was.
  const condition = onConflict === 'overwrite' ? {} : { ifAbsent: true, idempotencyKey: id };
  return { key, value, contentType, expires: deadline, ...condition };
}

async function currents(items: readonly ImportItem[], { kv, timeoutMs }: SliceOptions): Promise<readonly BatchResult[]> {
  if (items.length === 0) return [];
  const gets = items.map(({ key }) => ({ op: 'get', key }) as const);
  const results = await settle(kv, gets, { timeoutMs, consistency: 'latest' });
  for (const [index, { error }] of results.entries()) if (error !== undefined) throw refusedFor(items[index] as ImportItem, error);
  return results;
}

function isSame({ value, contentType, expires }: ImportItem, found: NonNullable<BatchResult['found']>): boolean {
  if (found.contentType !== contentType || found.expires?.getTime() !== expires) return false;
  return Buffer.compare(found.value, value) === 0;
}

/** A node has refused it because its time is over; about an item, nothing else is said so of one whose time is as near. */
function hasPassed({ expires }: ImportItem, { code }: ClientError): boolean {
  return code === 'bad-request' && expires !== undefined && expires <= Date.now() + skewMs;
}

function refusedFor({ key }: ImportItem, { code, message, server }: ClientError): ClientError {
  return new ClientError(code, `${JSON.stringify(key)}: ${message}`, { retryable: false, server });
}
