/** A server that is not ready is asked how it is, by itself and not by a caller. */
import { expect, test } from 'vitest';
import { Dialects } from '../../client/avro/dialect.ts';
import { Pool } from '../../client/avro/pool.ts';
import { limitsOf } from '../../client/options.ts';
import { BitacoraError } from '../../src/core/errors.ts';
import { silentLogger } from '../contract/silent-logger.ts';
import { TestClock } from '../replica/test-clock.ts';
import { gate, startServer, until } from './setting.ts';

/** Knows how many timers were ever set. */
class CountingClock extends TestClock {
  timers = 0;

  override after(delayMs: number, action: () => void): () => void {
    this.timers++;
    return super.after(delayMs, action);
  }
}

/** Connected to one server that is restoring, and waiting to ask it again. */
async function setting() {
  const clock = new CountingClock();
  const server = await startServer({ node: { state: 'restoring' } });
  const world = { limits: limitsOf({}), clock, chance: { random: () => 0.999 }, logger: silentLogger, dialects: new Dialects() };
  const pool = new Pool(world, () => undefined);
  pool.update([server.address]);
  await until('it is connected', () => pool.isOpen);
  return { clock, server, pool };
}

test('however long it takes, it is asked every second: its share does not wait longer when it is ready', async () => {
  const { clock, server, pool } = await setting();
  for (let second = 0; second < 15; second++) {
    const asked = server.count('getNode');
    const { timers } = clock;
    await clock.advance(1_000);
    await until('it was asked, and will be again', () => server.count('getNode') > asked && clock.timers > timers, 3_000);
  }
  pool.close();
});

test.each(['restoring', 'draining'] as const)('an answer that comes when it has left the list starts nothing: %s', async (answer) => {
  const { clock, server, pool } = await setting();
  const held = gate();
  server.answers.getNode = async () => {
    await held.opened;
    if (answer === 'draining') throw new BitacoraError('draining', 'the node is going away');
    return { node: '', state: 'restoring', genesis: '', partitions: 4, maxKeyBytes: 1, maxValueBytes: 1, maxFrameBytes: 1 };
  };
  await clock.advance(1_000);
  await until('it is being asked', () => server.count('getNode') === 2);
  pool.close();
  const { timers } = clock;
  held.open();
  await until('its connection has ended', () => server.sockets.size === 0);
  expect(clock.timers).toBe(timers);
});
