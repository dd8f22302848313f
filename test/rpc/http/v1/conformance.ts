/** Holds every answer that a test gets against what the document says of it. */
import { answerHeaders } from '../../../../rpc/http/v1/answer-headers.ts';
import { commonErrors, type Operation } from '../../../../rpc/http/v1/operation.ts';
import { operations } from '../../../../rpc/http/v1/operations.ts';
import { check, fits, type TSchema } from '../../../../rpc/http/v1/schema.ts';
import { ndjson, Problem, problemJson } from '../../../../rpc/http/v1/shapes.ts';
import { isV1, pathOf } from '../../../../rpc/http/v1/target.ts';
import { errorTable } from '../../../../src/core/errors.ts';
import type { BytesReply } from './start-v1.ts';

/** Statuses that were given by operation, over all calls of a test file. */
export const given = new Map<string, Set<number>>();

export function operationOf(method: string, url: string): Operation | undefined {
  const path = pathOf(url);
  const as = method === 'HEAD' ? 'GET' : method;
  return operations.find((each) => each.method === as && (each.inPath === undefined ? each.path === path : isUnder(path, each.path)));
}

function isUnder(path: string, template: string): boolean {
  return path.startsWith(template.slice(0, template.indexOf('{')));
}

/** Throws when the answer is not one that the document tells of. */
export function conforms(method: string, url: string, reply: BytesReply): void {
  if (!isV1(url)) return;
  const operation = operationOf(method, url);
  const where = `${method} ${url.slice(0, 80)}: ${reply.status}`;
  const isProblem = reply.headers['content-type'] === problemJson;
  if (isProblem && method !== 'HEAD') {
    const problem = check(Problem, reply.json(), where);
    if (problem.status !== reply.status) throw new Error(`${where}: the problem says ${problem.status}`);
    if (errorTable[problem.code].status !== reply.status) throw new Error(`${where}: ${problem.code} has another status`);
    const known = operation === undefined ? ['no-such-path', 'method-not-allowed'] : [...operation.errors, ...commonErrors];
    if (!known.includes(problem.code)) throw new Error(`${where}: ${problem.code} is not among the errors of ${operation?.id}`);
  }
  if (method === 'HEAD' && reply.bytes.length > 0) throw new Error(`${where}: a body`);
  if (operation === undefined || isProblem) return;
  const outcome = operation.outcomes[reply.status];
  if (outcome === undefined) throw new Error(`${where} is no outcome of ${operation.id}`);
  given.set(operation.id, (given.get(operation.id) ?? new Set()).add(reply.status));
  const told = new Set<string>(
    [...(outcome.headers ?? []), 'Bitacora-Node', 'Bitacora-Lag-Ms', 'Cache-Control'].map((name) => name.toLowerCase()),
  );
  for (const name of Object.keys(answerHeaders).map((each) => each.toLowerCase())) {
    if (reply.headers[name] !== undefined && !told.has(name)) throw new Error(`${where}: the header ${name} is not described`);
  }
  for (const name of ['bitacora-node', 'bitacora-lag-ms', 'cache-control']) {
    if (reply.headers[name] === undefined) throw new Error(`${where}: without ${name}`);
  }
  if (method !== 'HEAD') bodyConforms(where, reply, outcome.content);
}

function bodyConforms(where: string, reply: BytesReply, content: Readonly<Record<string, TSchema>> | undefined): void {
  const type = reply.headers['content-type']?.split(';')[0] ?? '';
  if (content === undefined) {
    if (reply.bytes.length > 0) throw new Error(`${where}: a body`);
    return;
  }
  const schema = content[type] ?? content['*/*'];
  if (schema === undefined) throw new Error(`${where}: the type ${type} is not described`);
  if (type === ndjson) {
    const items = reply.text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    for (const item of items.filter((each) => 'key' in each)) if (!fits(schema, item)) throw new Error(`${where}: ${JSON.stringify(item)}`);
    return;
  }
  if (content[type] !== undefined && type.endsWith('json')) check(schema, reply.json(), where);
}
