/**
 * Clients that nobody here wrote: Avro for Java, of the original's version and of today's, against a node.
 *
 * The Java side is test/avro-java; it prints a line for each call. What is checked is what an application gets.
 */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, expect, test } from 'vitest';
import { protocol } from '../../wire/avro/protocol.ts';
import { avroVersions, javaProgram } from '../avro-java/java-program.ts';
import { cleanUp, forget, watchOver } from './clean-up.ts';
import { newPlace, startNode } from './node-process.ts';

afterEach(cleanUp);

const run = promisify(execFile);
const document = join(import.meta.dirname, '../../docs/avro/RPCHandlerAvro.avpr');
const sessionLimitMs = 100_000;

/** A line: the step and client that it is about, and what came of the call. */
type Line = Readonly<Record<string, unknown>>;

/** Runs the Java clients against a port of this machine; the lines that they printed. */
async function session(version: (typeof avroVersions)[number], port: number): Promise<Line[]> {
  const { command, args } = await javaProgram(version);
  const running = run(command, [...args, 'client', document, '127.0.0.1', String(port)], {
    timeout: sessionLimitMs,
    killSignal: 'SIGKILL',
    maxBuffer: 16 * 1024 * 1024,
  });
  const pid = running.child.pid as number;
  watchOver(pid);
  const { stdout, stderr } = await running.finally(() => forget(pid));
  // Avro only logs what it trips over while it reads an answer.
  expect(stderr).not.toMatch(/ERROR|Exception/);
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);
}

const any = (type: unknown): unknown => expect.any(type);
const namespace = protocol.namespace;
const string = (text: string) => ({ response: { string: text } });
const nothing = { response: null };
const large = { $repeat: '0123456789', $times: 30_000 };
/** Avro's JSON writes bytes as characters of the same number. */
const bytes = (text: string): string => Buffer.from(text).toString('latin1');

const position = { partition: any(Number), offset: any(Number) };
const written = { position, uuid: any(String), genesis: any(String) };
const record = (value: unknown, contentType: unknown = any(String)) => ({
  value,
  contentType,
  version: { [`${namespace}.Position`]: position },
  timestamp: any(Number),
  expires: any(Number),
  uuid: any(String),
});
const answer = (found: unknown) => ({ found, source: 1, applied: position, genesis: any(String) });
const found = (value: unknown, contentType?: unknown) => answer({ [`${namespace}.KeyValue`]: record(value, contentType) });
const failure = (code: string) => ({ code, message: any(String), retry: 'no', retryAfterMs: 0 });
/** As clients see an error that is only words: those of the original's messages. */
const inWords = (code: string) => ({ threw: 'org.apache.avro.AvroRuntimeException', says: expect.stringContaining(code) });
const load = { calls: 200, wrong: [] };

/** Step, client, outcome: every line, in order. */
const expected: readonly (readonly [step: string, client: string, outcome: object])[] = [
  ['ping', 'original', { response: Object.keys(protocol.messages).sort() }],
  ['absent', 'original', nothing],
  ['set', 'original', nothing],
  ['get', 'original', string('value')],
  ['set again', 'original', nothing],
  ['get empty', 'original', string('')],
  ['delete', 'original', nothing],
  ['get deleted', 'original', nothing],
  ['delete absent', 'original', nothing],
  ['set non-ASCII', 'original', nothing],
  ['get non-ASCII', 'original', string('größer 😀\0')],
  ['set large', 'original', nothing],
  ['get large', 'original', { response: { string: large } }],
  ['blank key', 'original', inWords('key-invalid')],
  ['blank key', 'original', inWords('key-invalid')],
  ['value too large', 'original', inWords('value-too-large')],
  ['after errors', 'original', nothing],
  ['java strings', 'original-java-strings', nothing],
  ['java strings', 'original-java-strings', string('größer')],
  ...Array.from({ length: 8 }, () => ['load', 'original', load] as const),
  ['node', 'evolved', { response: expect.objectContaining({ maxKeyBytes: 1_024, maxValueBytes: 1_000_000, genesis: any(String) }) }],
  ['absent', 'evolved', { response: answer(null) }],
  ['set', 'evolved', { response: written }],
  ['get', 'evolved', { response: found(bytes('größer 😀'), 'text/plain; charset=utf-8') }],
  ["get by the original's message", 'evolved', string('größer 😀')],
  ['get what was seen', 'evolved', { response: found('value', '') }],
  ['set with a time to live', 'evolved', { response: written }],
  ['get with a deadline', 'evolved', { response: found('value', '') }],
  ["set by the original's message", 'evolved', nothing],
  ['get what it set', 'evolved', { response: found('value') }],
  ['delete', 'evolved', { response: written }],
  ['get deleted', 'evolved', { response: answer(null) }],
  [
    'set many',
    'evolved',
    {
      response: [
        { [`${namespace}.Written`]: written },
        { [`${namespace}.Failure`]: failure('key-invalid') },
        { [`${namespace}.Written`]: written },
      ],
    },
  ],
  ['set none', 'evolved', { response: [] }],
  [
    'get many',
    'evolved',
    {
      response: [
        { [`${namespace}.Answer`]: found('one', '') },
        { [`${namespace}.Answer`]: answer(null) },
        { [`${namespace}.Failure`]: failure('key-invalid') },
        { [`${namespace}.Answer`]: found('', '') },
      ],
    },
  ],
  ['get none', 'evolved', { response: [] }],
  ['set large', 'evolved', { response: written }],
  ['get large', 'evolved', { response: found(large, '') }],
  ['blank key', 'evolved', { failure: failure('key-invalid') }],
  ['blank key', 'evolved', { failure: failure('key-invalid') }],
  ["blank key, original's message", 'evolved', inWords('key-invalid')],
  ['value too large', 'evolved', { failure: failure('value-too-large') }],
  ['after errors', 'evolved', nothing],
  ...Array.from({ length: 8 }, () => ['load', 'evolved', load] as const),
  ['before the cut', 'original', string('größer')],
  ['before the cut', 'evolved', string('größer')],
  ['after the cut', 'original', string('größer')],
  ['after the cut', 'evolved', string('größer')],
  ['new connection', 'evolved', string('größer')],
  ['new address', 'evolved', string('größer')],
  ['metadata', 'evolved', string('größer')],
  ['metadata', 'evolved', nothing],
  // The client's own words: it knows the node's protocol.
  ['unknown message', 'later', inWords('Not a remote message: getNothing')],
  ['after it', 'later', string('größer')],
];

test.each(avroVersions)(
  'Avro %s: clients of the original’s protocol and of ours get what they ask for',
  { timeout: 180_000 },
  async (version) => {
    const node = startNode(await newPlace(), {});
    await node.ready();
    const lines = await session(version, node.avroPort);

    const outcome = ({ step, client, response, failure, threw, says }: Line) =>
      JSON.parse(JSON.stringify({ step, client, response, failure, threw, says })) as Line;
    for (const [index, [step, client, wanted]] of expected.entries()) {
      const line = lines[index] ?? {};
      if (step === 'load') expect(line).toEqual({ step, client, thread: any(String), ...wanted });
      else expect(outcome(line), `line ${index}, ${line['message']}`).toEqual({ step, client, ...wanted });
    }
    expect(lines).toHaveLength(expected.length);
    const threads = lines.filter(({ step }) => step === 'load').map(({ client, thread }) => `${client} ${thread}`);
    expect(new Set(threads).size).toBe(16);

    // One log, one name for it in every answer.
    const genesis = new Set(
      [...JSON.stringify(lines.map(({ response }) => response)).matchAll(/"genesis":"([^"]*)"/g)].map(([, name]) => name),
    );
    expect(genesis.size).toBe(1);
    expect((await node.status()).genesis).toBe([...genesis][0]);

    const deadlines = lines.filter(({ step }) => step === 'get with a deadline').map(({ response }) => response as { found: object });
    const [{ timestamp, expires }] = deadlines.map(({ found }) => Object.values(found)[0]) as [{ timestamp: number; expires: number }];
    expect(Math.abs(expires - timestamp - 3_600_000)).toBeLessThan(60_000);

    expect(await node.end()).toEqual({ code: 0, signal: null });
    expect(node.errors()).toBe('');
  },
);
