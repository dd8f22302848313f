/** Callers of a log that moves: they write all the while, and remember what they were told. */
import { call } from './calls.ts';
import { inParallel, Ledger, type Outcome } from './ledger.ts';

interface At {
  readonly url: string;
}

/** Refused, and certainly nothing was written. */
const definite = ['log-sealed', 'log-unavailable', 'overloaded', 'draining', 'position-not-reached'];
const json = { 'content-type': 'application/json' };

/** A value of the given number: bytes that are no text, a type, a deadline, or none of them; undefined: a delete. */
function contentOf(number: number): Record<string, string | null> | undefined {
  if (number % 7 === 3) return undefined;
  const bytes = number % 3 === 0 ? Buffer.of(0xff, 0, number & 0xff, (number >> 8) & 0xff) : Buffer.from(`value ${number}`);
  return {
    value_b64: bytes.toString('base64'),
    content_type: number % 2 === 0 ? 'text/x-number' : null,
    expires: number % 5 === 0 ? new Date(2_000_000_000_000 + number).toISOString() : null,
  };
}

const textOf = (content: Record<string, unknown>): string =>
  JSON.stringify([content['value_b64'], content['content_type'], content['expires']]);

/** What a node holds, in the words of the ledger. */
export async function contentAt({ url }: At, key: string): Promise<string | undefined> {
  const { status, body } = await call(url, 'GET', `/v1/kv/${encodeURIComponent(key)}?format=json&consistency=latest`);
  if (status === 404) return undefined;
  if (status !== 200) throw new Error(`${key}: ${status} ${body}`);
  const { value, ...found } = JSON.parse(body) as Record<string, string>;
  return textOf({ value_b64: Buffer.from(value ?? '').toString('base64'), ...found });
}

export class Callers {
  readonly ledger = new Ledger();
  /** Codes with which writes were refused. */
  readonly refusals = new Map<string, number>();
  readonly #running: Promise<void>[] = [];
  #stopped = false;

  /** `lanes` that write to the nodes in turn, each under keys of its own. */
  start(nodes: readonly At[], lanes: number): void {
    for (let lane = 0; lane < lanes; lane++) this.#running.push(this.#run(nodes, lane));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#running);
  }

  async #run(nodes: readonly At[], lane: number): Promise<void> {
    for (let i = 0; !this.#stopped; i++) {
      await this.write(nodes[(i + lane) % nodes.length] as At, `lane-${lane}/${i % 40}`, i * 31 + lane);
      // Once the log is sealed the answers come at once, and somebody else needs the processor, too.
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  /** Of one key one after the other. */
  async write(node: At, key: string, number: number): Promise<Outcome> {
    const content = contentOf(number);
    const operation = content === undefined ? { op: 'delete', key } : { op: 'put', key, ...present(content) };
    const outcome = await this.#outcome(node, { operations: [operation] });
    this.ledger.note(key, content === undefined ? undefined : textOf(content), outcome);
    return outcome;
  }

  async #outcome({ url }: At, batch: object): Promise<Outcome> {
    let answer: { status: number; body: string };
    try {
      answer = await call(url, 'POST', '/v1/batch', { headers: json, body: JSON.stringify(batch) });
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === 'ECONNREFUSED' ? 'refused' : 'unknown';
    }
    const body = JSON.parse(answer.body) as { code?: string; results?: { status: number; error?: { code: string } }[] };
    const [result] = body.results ?? [];
    if (result !== undefined && result.status < 300) return 'done';
    const code = result?.error?.code ?? body.code ?? 'none';
    this.refusals.set(code, (this.refusals.get(code) ?? 0) + 1);
    if (code === 'unknown-outcome') return 'unknown';
    if (definite.includes(code)) return 'refused';
    throw new Error(`a write was answered ${answer.status}: ${answer.body}`);
  }
}

const present = (content: Record<string, string | null>): object =>
  Object.fromEntries(Object.entries(content).filter(([, value]) => value !== null));

/** Many keys at once, so that a move takes its time. */
export async function fill({ url }: At, count: number): Promise<void> {
  const starts = Array.from({ length: Math.ceil(count / 1_000) }, (_, i) => i * 1_000);
  await inParallel(starts, 4, async (start) => {
    const operations = Array.from({ length: Math.min(1_000, count - start) }, (_, i) => ({
      ...{ op: 'put', key: `filled/${start + i}`, value: `value ${start + i} ${'x'.repeat(100)}` },
    }));
    const { status, body } = await call(url, 'POST', '/v1/batch', { headers: json, body: JSON.stringify({ operations }) });
    if (status !== 200 || body.includes('"error"')) throw new Error(`not filled: ${status} ${body.slice(0, 500)}`);
  });
}
