/** `POST /v1/batch`: many operations, each with its own result, or all or none. */
import { BitacoraError, errorTable } from '../../../src/core/errors.ts';
import { formatPosition } from '../../../src/core/position.ts';
import type { AtomicWrite, Written } from '../../../src/ports.ts';
import type { Route } from '../exchange.ts';
import { bounded, goneSignal } from '../wait.ts';
import { answering, type Call, type CallOf, jsonAnswer, type Told } from './answering.ts';
import { type Batch, readBatch } from './batch-body.ts';
import { postBatch } from './batch-operations.ts';
import { type Plan, planOf } from './batch-plan.ts';
import { isoOf } from './deadline.ts';
import { inLanes } from './lanes.ts';
import { problemOf } from './problem.ts';
import { type Patiently, patience, type Reading, readingOf, readKey } from './reading.ts';
import { valueBody } from './representation.ts';
import { maxAnswerBytes, type V1Rooms } from './rooms.ts';
import type { Static } from './schema.ts';
import type { BatchResult } from './shapes.ts';

/** Keys of one batch that are worked on at once. */
const lanes = 64;
/** Batches of one node that are worked on at once. */
const maxBatches = 32;

type Result = Static<typeof BatchResult>;
type Write = Extract<Plan, { op: 'write' }>;

export function batchRoute(rooms: V1Rooms): Route {
  const { keyValue, limits, logger } = rooms;
  let underWay = 0;

  async function post(call: CallOf<typeof postBatch>): Promise<Told> {
    const { response, query, headers, session } = call;
    const batch = await readBatch(rooms.bodies, call, headers['Content-Type'], limits.maxValueBytes);
    if (underWay >= maxBatches) throw new BitacoraError('overloaded', `${maxBatches} batches are under way`);
    underWay++;
    try {
      const gone = goneSignal(response);
      const reading = readingOf(query.consistency, headers.Prefer);
      const results = batch.atomic ? await atomically(call, batch, gone) : await singly(call, batch, reading, gone);
      return jsonAnswer({ results, position: session.token });
    } finally {
      underWay--;
    }
  }

  async function atomically({ session }: Pick<Call, 'session'>, { operations }: Batch, gone: AbortSignal): Promise<Result[]> {
    const now = Date.now();
    const plans = operations.map((operation) => planOf(operation, now));
    const writes = plans.map((plan): AtomicWrite => {
      if (plan.op === 'get') throw new BitacoraError('batch-invalid', 'an atomic batch has no gets');
      const { idempotencyKey, ...options } = plan.options;
      if (idempotencyKey !== undefined) throw new BitacoraError('batch-invalid', 'an atomic batch takes no idempotency keys');
      return { key: plan.key, value: plan.value, ...options };
    });
    const written = await bounded(gone, limits.writeTimeoutMs, (signal) => keyValue.writeAtomic(writes, { signal }));
    for (const { position } of written) session.note(position);
    return plans.map((plan, index) => writtenResult(plan as Write, written[index] as Written));
  }

  async function singly(call: Pick<Call, 'session' | 'response'>, batch: Batch, reading: Reading, gone: AbortSignal): Promise<Result[]> {
    const { session } = call;
    const results: Result[] = new Array(batch.operations.length);
    const patiently = patience(call.response, reading.waitMs);
    const now = Date.now();
    let bytes = 0;

    async function one(index: number): Promise<void> {
      const operation = batch.operations[index] as Batch['operations'][number];
      try {
        gone.throwIfAborted();
        const plan = planOf(operation, now);
        results[index] = plan.op === 'get' ? await get(plan.key, reading, patiently) : await write(plan);
      } catch (error) {
        // Told in its place; the others have their own results.
        results[index] = failedResult(operation.key, error);
      }
    }
    async function get(key: string, { consistency }: Reading, wait: Patiently): Promise<Result> {
      if (bytes > maxAnswerBytes)
        throw new BitacoraError('overloaded', `the values of this answer are over ${maxAnswerBytes} bytes; ask for this key alone`);
      const { found } = await readKey(rooms, session, key, consistency, wait);
      if (found === undefined) throw new BitacoraError('not-found', 'there is nothing under this key');
      bytes += found.value.length;
      return { status: 200, ...valueBody(key, found) };
    }
    async function write(plan: Write): Promise<Result> {
      const { key, value, options } = plan;
      const written = await bounded(gone, limits.writeTimeoutMs, (signal) =>
        value === undefined ? keyValue.delete(key, { ...options, signal }) : keyValue.put(key, value, { ...options, signal }),
      );
      session.note(written.position);
      return writtenResult(plan, written);
    }

    await inLanes(byKey(batch), lanes, async (indexes) => {
      for (const index of indexes) await one(index);
    });
    return results;
  }

  function failedResult(key: string, error: unknown): Result {
    const { code, title, detail, hint, current } = problemOf(error, logger);
    const more = { ...(hint === undefined ? {} : { hint }), ...(current === undefined ? {} : { current }) };
    return { status: errorTable[code].status, key, error: { code, title, detail, ...more } };
  }

  return { path: postBatch.path, methods: { POST: answering(rooms, postBatch, post) } };
}

/** With the status of the same request alone. */
function writtenResult({ key, value, options }: Write, { position, id }: Written): Result {
  const version = formatPosition(position);
  if (value === undefined) return { status: 204, key, version, id };
  return { status: options.condition === 'absent' ? 201 : 200, key, version, expires: isoOf(options.expires ?? 0) ?? null, id };
}

/** Operations on one key stay together and in their order. */
function byKey({ operations }: Batch): Iterable<readonly number[]> {
  const groups = new Map<string, number[]>();
  for (const [index, { key }] of operations.entries()) {
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [index]);
    else group.push(index);
  }
  return groups.values();
}
