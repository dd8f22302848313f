/** A process that registers an address and says so; it leaves when its standard input ends, and should then end by itself. */
import { openZooKeeperMembership } from '../../cluster/membership/zookeeper.ts';
import { createKeptLog, realClock } from './real-clock.ts';

const [hosts = '', root = '', address = ''] = process.argv.slice(2);
const membership = await openZooKeeperMembership({
  hosts,
  root,
  sessionTimeoutMs: 8_000,
  clock: realClock,
  chance: { random: Math.random },
  logger: createKeptLog(),
});
membership.join({ address, socket: '' });
const waiting = setInterval(() => {
  if (membership.state !== 'joined') return;
  clearInterval(waiting);
  process.stdout.write('joined\n');
}, 10);
process.stdin.resume().on('end', () => void membership.leave());
