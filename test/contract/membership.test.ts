import { randomUUID } from 'node:crypto';
import { expect, inject, test } from 'vitest';
import { openStaticMembership } from '../../cluster/membership/static.ts';
import { openZooKeeperMembership } from '../../cluster/membership/zookeeper.ts';
import { codeOf } from '../../src/core/errors.ts';
import type { Member } from '../../src/ports.ts';
import { createKeptLog, realClock } from '../cluster/real-clock.ts';
import { membershipContract } from './membership.ts';

const members: readonly [Member, Member, Member] = [
  { address: 'a.example:8082', socket: 'a.example:8083' },
  { address: 'b.example:8082', socket: '' },
  { address: '[::1]:8082', socket: '' },
];

membershipContract('static', async () => ({
  members,
  noticesLeaving: false,
  open: async () => openStaticMembership({ members: members.map((member) => member.address) }),
}));

membershipContract('zookeeper', async () => {
  const root = `/test-${randomUUID()}`;
  return {
    members,
    noticesLeaving: true,
    open: () =>
      openZooKeeperMembership({
        hosts: inject('zookeeperHosts'),
        root,
        sessionTimeoutMs: 4_000,
        clock: realClock,
        chance: { random: Math.random },
        logger: createKeptLog(),
      }),
  };
});

test('a static list: nobody is nobody, twice is once, and nonsense is refused', () => {
  expect(openStaticMembership({ members: [] })).toMatchObject({ kind: 'none', others: [] });
  expect(openStaticMembership({ members: ['a:1', 'a:1'] })).toMatchObject({ kind: 'static', others: [{ address: 'a:1' }] });
  for (const wrong of ['a', 'a:', 'a:0', 'a:65536', ':1', 'http://a:1', 'a:1/x', 'a b:1', '::1:80']) {
    let thrown: unknown;
    try {
      openStaticMembership({ members: [wrong] });
    } catch (error) {
      thrown = error;
    }
    expect(codeOf(thrown), wrong).toBe('option-invalid');
  }
});
