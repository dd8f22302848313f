/** What every membership keeps, however it learns of the others. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { codeOf } from '../../src/core/errors.ts';
import type { Member, Membership } from '../../src/ports.ts';

/** A cluster of three nodes, each with a membership of its own. */
export interface MembershipWorld {
  readonly members: readonly [Member, Member, Member];
  /** A membership that has not joined. */
  open(): Promise<Membership>;
  /** Others see that a node has left; not so with a list. */
  readonly noticesLeaving: boolean;
}

export function membershipContract(name: string, openWorld: () => Promise<MembershipWorld>): void {
  describe(`membership: ${name}`, () => {
    let world: MembershipWorld;
    let opened: Membership[];

    beforeEach(async () => {
      world = await openWorld();
      opened = [];
    });
    afterEach(() => Promise.all(opened.map((membership) => membership.leave())));

    const open = async (): Promise<Membership> => {
      const membership = await world.open();
      opened.push(membership);
      return membership;
    };
    const joined = async (member: Member): Promise<Membership> => {
      const membership = await open();
      membership.join(member);
      return membership;
    };
    const addresses = (membership: Membership): string[] => membership.others.map((other) => other.address).toSorted();
    const allBut = (self: Member): string[] =>
      world.members
        .filter((member) => member !== self)
        .map((member) => member.address)
        .toSorted();

    test('is joining until it has joined', async () => {
      const membership = await open();
      expect(membership.state).toBe('joining');
      membership.join(world.members[0]);
      await expect.poll(() => membership.state, { timeout: 10_000 }).toBe('joined');
    });

    test('each sees all others, and never itself', async () => {
      const memberships = await Promise.all(world.members.map(joined));
      for (const [index, membership] of memberships.entries()) {
        const self = world.members[index] as Member;
        await expect.poll(() => addresses(membership), { timeout: 10_000 }).toEqual(allBut(self));
        expect(addresses(membership)).not.toContain(self.address);
      }
    });

    test('leaving: bounded, once, and the others last known stay', async () => {
      const [first, second] = [await joined(world.members[0]), await joined(world.members[1])];
      await expect.poll(() => addresses(first), { timeout: 10_000 }).toContain(world.members[1].address);
      await expect.poll(() => addresses(second), { timeout: 10_000 }).toContain(world.members[0].address);
      const began = performance.now();
      await Promise.all([second.leave(), second.leave()]);
      await second.leave();
      expect(performance.now() - began).toBeLessThan(5_000);
      expect(second.state).toBe('left');
      expect(addresses(second)).toContain(world.members[0].address);
      if (world.noticesLeaving) await expect.poll(() => addresses(first), { timeout: 10_000 }).not.toContain(world.members[1].address);
    });

    test('leaving before having joined', async () => {
      const idle = await open();
      await idle.leave();
      expect(idle.state).toBe('left');
      const hasty = await joined(world.members[0]);
      await hasty.leave();
      expect(hasty.state).toBe('left');
    });

    test('who has left does not join again', async () => {
      const membership = await joined(world.members[0]);
      await membership.leave();
      expect(codeOf(catching(() => membership.join(world.members[0])))).toBe('closed');
      expect(membership.state).toBe('left');
    });
  });
}

function catching(action: () => void): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  return undefined;
}
