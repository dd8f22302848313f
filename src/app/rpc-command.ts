/** `bitacora rpc get|set|del`: one call over the Avro face, for the shell. */
import { parseArgs } from 'node:util';
import { type Client, ClientError, type ConnectOptions, connect } from '../../client/index.ts';
import { exitCodeOf } from './exit-codes.ts';

const help = `bitacora rpc: one call to a node's Avro face

  bitacora rpc get KEY                 prints the value; exact bytes on a pipe, a line on a terminal
  bitacora rpc set KEY VALUE           VALUE \`-\`, or none: standard input
  bitacora rpc del KEY

  --servers HOST:PORT,…     the nodes' Avro faces (default: ZOOKEEPER_HOSTS if set, otherwise 127.0.0.1 and AVRO_PORT or 8083)
  --zookeeper HOST:PORT,…   find them in ZooKeeper
  --root PATH               where they register there (default /bitacora)
  --timeout MS              for the whole call (default 5000)
  --ttl MS                  set: the value is absent after this long
  --content-type TYPE       set: kept with the value
  --                        what follows begins with a hyphen and is no flag

exit code   0 done   2 asked wrongly   3 absent   5 no node reached   6 no answer in time, or outcome unknown   8 log unavailable   1 other
`;

/** Standard streams and the environment, as the command sees them. */
export interface Terminal {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly input: AsyncIterable<Uint8Array>;
  readonly out: { readonly isTTY?: boolean; write(text: string | Uint8Array, done?: () => void): unknown };
  readonly err: { write(text: string): unknown };
}

interface Asked {
  readonly call: 'get' | 'set' | 'del';
  readonly key: string;
  /** Of `set`; undefined: read it from standard input. */
  readonly value: string | undefined;
  readonly ttlMs: number | undefined;
  readonly contentType: string | undefined;
  readonly options: ConnectOptions;
}

/** Behind `--` everything is a key or a value, even if it reads like a flag. */
function helpAsked(argv: readonly string[]): boolean {
  const end = argv.indexOf('--');
  return argv.slice(0, end < 0 ? argv.length : end).includes('--help');
}

const timeoutMs = 5_000;
/** Servers that are named either listen or do not; a session with ZooKeeper takes longer. */
const reachMs = 900;

/** Resolves with the exit code. Never rejects for what a server or a user did. */
export async function rpc(argv: readonly string[], terminal: Terminal): Promise<number> {
  if (argv[0] === 'help' || helpAsked(argv)) {
    terminal.out.write(help);
    return 0;
  }
  let asked: Asked;
  try {
    asked = askedIn(argv, terminal.env);
  } catch (error) {
    terminal.err.write(`bitacora rpc: ${(error as Error).message}; \`bitacora rpc --help\` says how\n`);
    return 2;
  }
  try {
    const value = asked.call === 'set' ? (asked.value ?? (await read(terminal.input))) : '';
    const client = await connect(asked.options);
    try {
      return await call(client, asked, value, terminal);
    } finally {
      await client.close();
    }
  } catch (error) {
    if (!(error instanceof ClientError)) throw error;
    terminal.err.write(`bitacora rpc: ${error.code}: ${error.message}\n`);
    return exitCodeOf(error);
  }
}

async function call(
  client: Client,
  { call, key, ttlMs, contentType }: Asked,
  value: string | Uint8Array,
  { out, err }: Terminal,
): Promise<number> {
  if (call === 'set') {
    await client.set(key, value, { ttlMs, contentType });
    return 0;
  }
  if (call === 'del') {
    await client.delete(key);
    return 0;
  }
  const found = await client.getBytes(key);
  if (found === undefined) {
    err.write(`not found: ${key}\n`);
    return 3;
  }
  // The process exits after this: a pipe takes its time.
  await new Promise<void>((resolve) => out.write(out.isTTY ? Buffer.concat([found, Buffer.from('\n')]) : found, resolve));
  return 0;
}

/** Errors: in words, for what is asked wrongly. */
function askedIn(argv: readonly string[], env: Terminal['env']): Asked {
  const text = { type: 'string' } as const;
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: { servers: text, zookeeper: text, root: text, timeout: text, ttl: text, 'content-type': text },
  });
  const [call, key, value, ...more] = positionals;
  if (call !== 'get' && call !== 'set' && call !== 'del') throw new Error(`there is no call ${call ?? 'without a name'}`);
  if (key === undefined) throw new Error(`${call} needs a key`);
  if (more.length > 0 || (call !== 'set' && value !== undefined)) throw new Error(`${call} takes fewer arguments; quote what has spaces`);
  if (call !== 'set' && (values.ttl ?? values['content-type']) !== undefined) throw new Error('--ttl and --content-type go with set');
  return {
    call,
    key,
    value: value === '-' ? undefined : value,
    ttlMs: millis('--ttl', values.ttl),
    contentType: values['content-type'],
    options: optionsOf(values, env),
  };
}

function optionsOf(values: Readonly<Record<string, string | undefined>>, env: Terminal['env']): ConnectOptions {
  const { servers, zookeeper, root } = values;
  if (servers !== undefined && zookeeper !== undefined) throw new Error('--servers and --zookeeper exclude each other');
  const bounds = { timeoutMs: millis('--timeout', values['timeout']) ?? timeoutMs };
  const hosts = zookeeper ?? (servers === undefined ? env['BITACORA_ZOOKEEPER_HOSTS'] || env['ZOOKEEPER_HOSTS'] : undefined);
  if (hosts !== undefined && hosts !== '') {
    const place = root ?? env['BITACORA_ZOOKEEPER_ROOT'];
    return { ...bounds, connectTimeoutMs: bounds.timeoutMs, zookeeper: hosts, ...(place === undefined ? {} : { root: place }) };
  }
  const own = `127.0.0.1:${env['BITACORA_AVRO_PORT'] || env['AVRO_PORT'] || '8083'}`;
  return { ...bounds, connectTimeoutMs: Math.min(reachMs, bounds.timeoutMs), servers: servers?.split(',') ?? [own] };
}

function millis(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^[1-9]\d{0,14}$/.test(text)) throw new Error(`${flag} is "${text}"; it must be a whole number of milliseconds`);
  return Number(text);
}

async function read(input: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of input) chunks.push(chunk);
  return Buffer.concat(chunks);
}
