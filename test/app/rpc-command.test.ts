/** `bitacora rpc` as a person at a shell sees it: what is printed, and with which exit code it ends. */
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { type AvroServer, openAvroServer } from '../../rpc/avro/server.ts';
import { rpc } from '../../src/app/rpc-command.ts';
import { BitacoraError } from '../../src/core/errors.ts';
import { silentLogger } from '../contract/silent-logger.ts';
import { createMemoryKeyValue, type MemoryKeyValue } from '../rpc/memory-key-value.ts';

let server: AvroServer | undefined;
let keyValue: MemoryKeyValue;

afterEach(async () => {
  await server?.close();
  server = undefined;
});

async function serve(): Promise<string> {
  keyValue = createMemoryKeyValue();
  server = await openAvroServer({
    ...{ keyValue, node: 'n1', host: '127.0.0.1', port: 0, observe: () => undefined, logger: silentLogger, drainMs: 1_000 },
    limits: {
      ...{ maxKeyBytes: 1_024, maxValueBytes: 1_000_000, maxFrameBytes: 4_000_000, maxBuffers: 4_000, maxConnections: 10 },
      ...{ maxCallsPerConnection: 10, maxBytesPerConnection: 8_000_000 },
      ...{ idleTimeoutMs: 60_000, frameTimeoutMs: 60_000, takeTimeoutMs: 60_000, writeTimeoutMs: 1_000 },
    },
  });
  return `127.0.0.1:${server.address.port}`;
}

interface Seen {
  readonly code: number;
  readonly out: Buffer;
  readonly err: string;
}

async function run(
  argv: readonly string[],
  env: Record<string, string> = {},
  input: readonly Uint8Array[] = [],
  isTTY = false,
): Promise<Seen> {
  const out: Uint8Array[] = [];
  let err = '';
  const code = await rpc(argv, {
    env,
    input: (async function* () {
      yield* input;
    })(),
    out: {
      isTTY,
      write: (text, done) => {
        out.push(Buffer.from(text as string));
        done?.();
      },
    },
    err: { write: (text) => (err += text) },
  });
  return { code, out: Buffer.concat(out), err };
}

describe('with a node', () => {
  test('set, get, del, and what is absent', async () => {
    const at = ['--servers', await serve()];
    expect(await run(['set', 'hello', 'wörld', ...at])).toEqual({ code: 0, out: Buffer.alloc(0), err: '' });
    expect((await run(['get', 'hello', ...at])).out.toString()).toBe('wörld');
    expect((await run(['get', 'hello', ...at], {}, [], true)).out.toString()).toBe('wörld\n');
    expect((await run(['del', 'hello', ...at])).code).toBe(0);
    expect(await run(['get', 'hello', ...at])).toEqual({ code: 3, out: Buffer.alloc(0), err: 'not found: hello\n' });
    expect((await run(['del', 'hello', ...at])).code).toBe(0);
  });

  test('any bytes by standard input, and out again as they were', async () => {
    const at = ['--servers', await serve()];
    const bytes = randomBytes(90_000);
    expect((await run(['set', 'bin', '-', ...at], {}, [bytes.subarray(0, 7), bytes.subarray(7)])).code).toBe(0);
    expect((await run(['get', 'bin', ...at])).out.equals(bytes)).toBe(true);
    await run(['set', 'bin', ...at], {}, [Buffer.from('short')]);
    expect((await run(['get', 'bin', ...at])).out.toString()).toBe('short');
  });

  test('a key and a value that look like flags, and the address from the environment', async () => {
    const env = { AVRO_PORT: (await serve()).slice('127.0.0.1:'.length) };
    expect((await run(['set', '--', '-k', '--v'], env)).code).toBe(0);
    expect((await run(['get', '--', '-k'], env)).out.toString()).toBe('--v');
    expect((await run(['set', 'h', '--', '--help'], env)).code).toBe(0);
    expect((await run(['get', 'h'], env)).out.toString()).toBe('--help');
  });

  test('a time to live, and a type', async () => {
    const at = ['--servers', await serve()];
    await run(['set', 'k', 'v', '--ttl', '60000', '--content-type', 'text/x', ...at]);
    const { found } = await keyValue.read('k');
    expect(found).toMatchObject({ contentType: 'text/x' });
    expect(found?.expires).toBeGreaterThan(Date.now() + 50_000);
  });

  test.each([
    ['log-unavailable', 8],
    ['unknown-outcome', 6],
  ] as const)('%s has an exit code of its own', async (code, exit) => {
    const at = ['--servers', await serve(), '--timeout', '500'];
    keyValue.failure = new BitacoraError(code, 'told to fail');
    const seen = await run(['set', 'k', 'v', ...at]);
    expect(seen.code).toBe(exit);
    expect(seen.err).toMatch(new RegExp(`^bitacora rpc: ${code}: `));
  });
});

test('nobody listens: told within a second, with who was asked', async () => {
  const closed = createServer();
  const port = await new Promise<number>((resolve) =>
    closed.listen(0, '127.0.0.1', () => resolve((closed.address() as { port: number }).port)),
  );
  await new Promise((resolve) => closed.close(resolve));
  const seen = await run(['get', 'k', '--servers', `127.0.0.1:${port}`]);
  expect(seen.code).toBe(5);
  expect(seen.err).toContain(`127.0.0.1:${port}`);
});

test.each([
  [[], 'there is no call'],
  [['put', 'a'], 'there is no call put'],
  [['get'], 'needs a key'],
  [['get', 'a', 'b'], 'takes fewer arguments'],
  [['set', 'a', 'b', 'c'], 'takes fewer arguments'],
  [['get', 'a', '--ttl', '5'], '--ttl and --content-type go with set'],
  [['set', 'a', 'b', '--ttl', '5s'], '--ttl is "5s"'],
  [['get', 'a', '--servers', 'x:1', '--zookeeper', 'y:2'], 'exclude each other'],
  [['get', 'a', '--server', 'x:1'], '--server'],
  [['get', 'a', '--servers', 'nonsense'], 'host:port'],
])('%j is asked wrongly', async (argv, says) => {
  const seen = await run(argv);
  expect(seen.code).toBe(2);
  expect(seen.err).toContain(says);
});

test('help', async () => expect((await run(['--help'])).out.toString()).toContain('bitacora rpc get KEY'));
