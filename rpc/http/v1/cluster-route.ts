/** `GET /v1/cluster`: every node's word on itself, asked now, within half a second. */
import type { Route } from '../exchange.ts';
import { manyMayListen } from '../wait.ts';
import { answering, jsonAnswer } from './answering.ts';
import { getCluster } from './node-operations.ts';
import { nodeReport } from './node-route.ts';
import type { V1Rooms } from './rooms.ts';
import { fits, type Static } from './schema.ts';
import { type MemberBody, NodeBody } from './shapes.ts';

type MemberReport = Static<typeof MemberBody>;

const budgetMs = 500;
/** More members than this are listed and not asked. */
const maxAsked = 256;

export function clusterRoute(rooms: V1Rooms): Route {
  // Callers who come while the question is under way share it: however many ask, each node is asked once at a time.
  let underWay: Promise<MemberReport[]> | undefined;

  function others(): Promise<MemberReport[]> {
    underWay ??= askAll().finally(() => {
      underWay = undefined;
    });
    return underWay;
  }

  async function askAll(): Promise<MemberReport[]> {
    const signal = manyMayListen(AbortSignal.timeout(budgetMs));
    return Promise.all(rooms.members().map(({ address }, index) => (index < maxAsked ? report(address, signal) : unasked(address))));
  }

  async function report(address: string, signal: AbortSignal): Promise<MemberReport> {
    try {
      const status = await orAborted(rooms.askMember(address, signal), signal);
      if (fits(NodeBody, status)) return { address, reachable: true, status };
      return { address, reachable: false, reason: 'its answer is not that of a node' };
    } catch (error) {
      return { address, reachable: false, reason: reasonOf(error, signal) };
    }
  }

  return {
    path: getCluster.path,
    methods: {
      GET: answering(rooms, getCluster, async () => {
        const self: MemberReport = { address: rooms.node, reachable: true, status: nodeReport(rooms) };
        return jsonAnswer({ nodes: [self, ...(await others())] });
      }),
    },
  };
}

function unasked(address: string): MemberReport {
  return { address, reachable: false, reason: `not asked: there are more than ${maxAsked} members` };
}

/** The budget holds whatever the question does with its signal. */
function orAborted<T>(question: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const late = (): void => reject(signal.reason);
    signal.addEventListener('abort', late, { once: true });
    question.then(resolve, reject).finally(() => signal.removeEventListener('abort', late));
  });
}

/** Codes of Node where there is one: they say more than the message, and hold no address twice. */
function reasonOf(error: unknown, signal: AbortSignal): string {
  if (signal.aborted) return `no answer within ${budgetMs} ms`;
  const { code, message } = error as NodeJS.ErrnoException;
  return code ?? message;
}
