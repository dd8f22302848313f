/** `POST /v1/seal` and `DELETE /v1/seal`. */
import { BitacoraError } from '../../../src/core/errors.ts';
import { formatToken, logOf } from '../../../src/core/position.ts';
import { readBody } from '../body.ts';
import type { Route } from '../exchange.ts';
import { answering, type CallOf, jsonAnswer, type Told } from './answering.ts';
import type { V1Rooms } from './rooms.ts';
import { sealLog, unsealLog } from './seal-operations.ts';
import { checkAsked } from './verify-route.ts';

export function sealRoute(rooms: V1Rooms): Route {
  const { keyValue } = rooms;

  async function seal({ request, query }: CallOf<typeof sealLog>): Promise<Told> {
    await checkAlone(request);
    const { to, positions } = await keyValue.seal(query.to);
    const { genesis } = keyValue;
    const position = formatToken({ positions, log: genesis === undefined ? undefined : logOf(genesis) });
    return jsonAnswer({ sealed: true, to: to ?? null, position });
  }

  async function unseal({ request }: CallOf<typeof unsealLog>): Promise<Told> {
    await checkAlone(request);
    await keyValue.unseal();
    return { status: 204, headers: ['Cache-Control', 'no-store'] };
  }

  return { path: sealLog.path, methods: { POST: answering(rooms, sealLog, seal), DELETE: answering(rooms, unsealLog, unseal) } };
}

/** Errors: `bad-request`. */
async function checkAlone(request: CallOf<typeof sealLog>['request']): Promise<void> {
  checkAsked(request.headers.origin);
  await readBody(request, { maxBytes: 0, tooLarge: () => new BitacoraError('bad-request', 'this takes no body') });
}
