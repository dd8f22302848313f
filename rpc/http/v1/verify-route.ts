/** `POST /v1/verify`, `GET /v1/verify/{run}` and `POST /v1/node/resync`. */
import { setTimeout as pause } from 'node:timers/promises';
import { BitacoraError } from '../../../src/core/errors.ts';
import { formatPosition } from '../../../src/core/position.ts';
import type { Verification } from '../../../src/ports.ts';
import { readBody } from '../body.ts';
import type { Route } from '../exchange.ts';
import { goneSignal, manyMayListen, withDeadline } from '../wait.ts';
import { answering, type CallOf, jsonAnswer, type Told } from './answering.ts';
import { compare, type Word } from './compare.ts';
import { durationMs } from './deadline.ts';
import type { V1Rooms } from './rooms.ts';
import { fits, type Static } from './schema.ts';
import { keyOf } from './target.ts';
import { DigestsBody, getDigests, resyncNode, verifyNodes } from './verify-operations.ts';

const longestWaitMs = 600_000;
const askEveryMs = 100;
/** One question to one node. */
const questionMs = 5_000;

export function verifyRoutes(rooms: V1Rooms): readonly Route[] {
  const { keyValue, limits, node, members, logger, observeVerification } = rooms;

  let underWay = false;

  async function post(call: CallOf<typeof verifyNodes>): Promise<Told> {
    checkAsked(call.request.headers.origin);
    if (underWay) throw new BitacoraError('overloaded', 'a verification is under way; each reads all that the nodes hold');
    underWay = true;
    try {
      return await verified(call);
    } finally {
      underWay = false;
    }
  }

  async function verified({ request, response, query }: CallOf<typeof verifyNodes>): Promise<Told> {
    const waitMs = Math.min(durationMs(query.wait ?? '60s', 'wait'), longestWaitMs);
    await readBody(request, { maxBytes: 0, tooLarge: () => new BitacoraError('bad-request', 'a verification takes no body') });
    const gone = goneSignal(response);
    const verification = await withDeadline(response, limits.writeTimeoutMs, (signal) => keyValue.verify(signal));
    const until = AbortSignal.any([gone, AbortSignal.timeout(waitMs)]);
    const own: Promise<Word> = word(node, verification, until, async () => digestsOf(verification.run));
    const others = members().map(({ address }) =>
      word(address, verification, until, (signal) => rooms.askMember(address, signal, `/v1/verify/${verification.run}`)),
    );
    const words = await Promise.all([own, ...others]);
    // Who has left hears nothing, and what was not waited for says nothing.
    gone.throwIfAborted();
    const result = compare(verification.run, verification.positions.map(formatPosition), words);
    observeVerification(result.agree, result.nodes.filter(({ result }) => result === 'differs').length);
    if (!result.agree) {
      const nodes = result.nodes.filter(({ result }) => result !== 'agrees');
      logger.warn({ event: 'verify.disagreement', run: result.run, nodes }, 'not all nodes hold the same, or not all have answered');
    }
    return jsonAnswer(result);
  }

  function digestsOf(run: string): Static<typeof DigestsBody> {
    const digests = keyValue.digests(run).map(({ position, digest }) => ({
      position: formatPosition(position),
      entries: digest?.entries ?? null,
      hash: digest?.hash ?? null,
    }));
    return { run, node, digests };
  }

  async function resync({ request }: CallOf<typeof resyncNode>): Promise<Told> {
    checkAsked(request.headers.origin);
    await readBody(request, { maxBytes: 0, tooLarge: () => new BitacoraError('bad-request', 'a resync takes no body') });
    keyValue.resync();
    return { status: 202, headers: ['Cache-Control', 'no-store'] };
  }

  return [
    { path: verifyNodes.path, methods: { POST: answering(rooms, verifyNodes, post) } },
    {
      path: getDigests.path,
      pattern: /^\/v1\/verify\/[0-9a-f-]{36}$/,
      methods: { GET: answering(rooms, getDigests, ({ request }) => jsonAnswer(digestsOf(keyOf(request.url ?? '', getDigests.path)))) },
    },
    { path: resyncNode.path, methods: { POST: answering(rooms, resyncNode, resync) } },
  ];
}

/** Asks until a node has come to all marks, or time is over; then what it has said so far. */
async function word(
  address: string,
  { positions }: Verification,
  until: AbortSignal,
  ask: (signal: AbortSignal) => Promise<unknown>,
): Promise<Word> {
  let digests: Word['digests'];
  while (!until.aborted) {
    try {
      const said = await ask(manyMayListen(AbortSignal.any([until, AbortSignal.timeout(questionMs)])));
      if (fits(DigestsBody, said)) digests = said.digests;
      if (digests?.length === positions.length) break;
      await pause(askEveryMs, undefined, { signal: until });
    } catch {
      // Who does not answer is asked again, and told as silent in the end.
      await pause(askEveryMs);
    }
  }
  return { address, digests };
}

/** A page of another site can have a browser send a POST without a body; it comes with an `Origin`. */
export function checkAsked(origin: string | undefined): void {
  if (origin !== undefined) throw new BitacoraError('bad-request', 'this cannot be asked for from a page');
}
