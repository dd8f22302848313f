/** The OpenAPI 3.1 document, made from the operations' definitions. */
import { type ErrorCode, type ErrorKind, errorTable } from '../../../src/core/errors.ts';
import { alwaysHeaders, answerHeaders, type HeaderName } from './answer-headers.ts';
import { ExportLine } from './export-shapes.ts';
import { HistoryBody, HistoryItem } from './history-shapes.ts';
import { commonErrors, type Operation, type Outcome } from './operation.ts';
import { operations } from './operations.ts';
import type { TObject, TSchema } from './schema.ts';
import * as shapes from './shapes.ts';
import { WatchBody, WatchLine } from './watch-shapes.ts';

type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };
export type JsonObject = { readonly [name: string]: Json };

/** Shapes that have a name of their own in the document. */
const named: ReadonlyMap<unknown, string> = new Map<unknown, string>([
  [shapes.ValueBody, 'Value'],
  [shapes.WrittenBody, 'Written'],
  [shapes.ListedItem, 'Item'],
  [shapes.ListBody, 'Page'],
  [shapes.CountBody, 'Count'],
  [shapes.DeletedBody, 'Deleted'],
  [shapes.BatchOperation, 'BatchOperation'],
  [shapes.BatchBody, 'Batch'],
  [shapes.BatchResult, 'BatchResult'],
  [shapes.BatchAnswer, 'BatchAnswer'],
  [HistoryItem, 'Version'],
  [HistoryBody, 'History'],
  [shapes.CompleteSince, 'CompleteSince'],
  [ExportLine, 'ExportLine'],
  [WatchLine, 'Event'],
  [WatchBody, 'Events'],
  [shapes.NodeBody, 'Node'],
  [shapes.MemberBody, 'Member'],
  [shapes.ClusterBody, 'Cluster'],
  [shapes.Problem, 'Problem'],
]);

const about = `The HTTP interface of Bitácora: a multi-master key-value store over a compacted Kafka topic. Any node answers any request.

Every answer tells its node (\`Bitacora-Node\`) and how far that one is behind the log (\`Bitacora-Lag-Ms\`). Answers about keys tell what their caller has now seen (\`Bitacora-Position\`): sent back as \`Bitacora-Min-Position\`, no later answer is older, whichever node gives it. \`HEAD\` is answered wherever \`GET\` is. Parameters that are not described are refused. Failures are RFC 9457 problems, told apart by \`code\`.`;

export function openApiDocument(version: string): JsonObject {
  const paths: Record<string, Record<string, Json>> = {};
  for (const operation of operations) {
    const item = paths[operation.path] ?? {};
    paths[operation.path] = item;
    item[operation.method.toLowerCase()] = describe(operation, operation.id);
    if (operation.method === 'GET' && operation.inPath !== undefined) item['head'] = describe(headOf(operation), `${operation.id}Head`);
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Bitácora', version, summary: 'A key-value store whose write-ahead log is a Kafka topic', description: about },
    servers: [{ url: '/', description: 'The node that gave this document.' }],
    tags: [...new Set(operations.map(({ group }) => group))].map((name) => ({ name })),
    paths,
    components: {
      schemas: Object.fromEntries([...named].map(([schema, name]) => [name, members(schema as object)])),
      headers: Object.fromEntries(Object.entries(answerHeaders).map(([name, schema]) => [name, headerOf(schema)])),
    },
  };
}

/** As GET, without a body. */
function headOf(operation: Operation): Operation {
  const outcomes = Object.entries(operation.outcomes).map(([status, { content: _content, ...outcome }]) => [status, outcome]);
  return { ...operation, summary: `${operation.summary}: the headers alone`, outcomes: Object.fromEntries(outcomes) };
}

function describe(operation: Operation, id: string): Json {
  const { group, summary, description, inPath, query, headers, body, outcomes, errors, curl } = operation;
  const path = inPath === undefined ? [] : [{ name: inPath.name, in: 'path', required: true, ...parameterOf(inPath.schema) }];
  // OpenAPI wants the negotiating headers described by the bodies; here they are checked, so they are parameters too.
  return {
    operationId: id,
    tags: [group],
    summary,
    description,
    parameters: [...path, ...parametersOf(query, 'query'), ...parametersOf(headers, 'header')],
    ...(body === undefined
      ? {}
      : { requestBody: { description: body.description, required: body.required, content: contentOf(body.content) } }),
    responses: {
      ...Object.fromEntries(Object.entries(outcomes).map(([status, outcome]) => [status, outcomeOf(outcome)])),
      ...failures([...errors, ...commonErrors], id.endsWith('Head')),
    },
    'x-curl': curl,
  };
}

function parametersOf(schema: TObject, place: 'query' | 'header'): Json[] {
  const required = new Set(schema.required ?? []);
  return Object.entries(schema.properties).map(([name, each]) => ({ name, in: place, required: required.has(name), ...parameterOf(each) }));
}

function parameterOf(schema: TSchema): { description: string; schema: Json } {
  const { description, ...rest } = plain(schema) as { description?: string } & JsonObject;
  return { description: description ?? '', schema: rest };
}

function outcomeOf({ description, headers = [], content }: Outcome): Json {
  return {
    description,
    headers: headersOf([...headers, ...alwaysHeaders]),
    ...(content === undefined ? {} : { content: contentOf(content) }),
  };
}

/** By status, each with its codes. A problem without a body is one of HEAD. */
function failures(codes: readonly ErrorCode[], bodiless: boolean): Record<string, Json> {
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of new Set(codes)) {
    const { status } = errorTable[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  return Object.fromEntries(
    [...byStatus].sort(([one], [other]) => one - other).map(([status, list]) => [String(status), failure(list, bodiless)]),
  );
}

function failure(codes: readonly ErrorCode[], bodiless: boolean): Json {
  const waits = codes.some((code) => (errorTable[code] as ErrorKind).retryAfter !== undefined);
  const names: HeaderName[] = [...alwaysHeaders, 'Bitacora-Position', ...(waits ? (['Retry-After'] as const) : [])];
  if (codes.includes('version-conflict')) names.push('ETag');
  if (codes.includes('not-found')) names.push('Bitacora-Source', 'Vary');
  return {
    description: codes.map((code) => `\`${code}\`: ${errorTable[code].title}.`).join(' '),
    headers: headersOf(names),
    ...(bodiless ? {} : { content: contentOf({ [shapes.problemJson]: shapes.Problem }) }),
  };
}

function headersOf(names: readonly HeaderName[]): Json {
  return Object.fromEntries([...new Set(names)].map((name) => [name, { $ref: `#/components/headers/${name}` }]));
}

function headerOf(schema: TSchema): Json {
  const { description, ...rest } = plain(schema) as JsonObject;
  return { description: description as Json, schema: rest };
}

function contentOf(content: Readonly<Record<string, TSchema>>): Json {
  return Object.fromEntries(Object.entries(content).map(([type, schema]) => [type, { schema: plain(schema) }]));
}

/** The schema as plain JSON, named shapes by reference. */
function plain(value: unknown): Json {
  const name = named.get(value);
  if (name !== undefined) return { $ref: `#/components/schemas/${name}` };
  return typeof value === 'object' && value !== null ? members(value) : (value as Json);
}

function members(value: object): Json {
  if (Array.isArray(value)) return value.map(plain);
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, plain(each)]));
}
