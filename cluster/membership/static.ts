/** Membership from a list that somebody wrote: it never changes, and nobody has to be told. */
import { BitacoraError } from '../../src/core/errors.ts';
import type { Member, Membership, MembershipState } from '../../src/ports.ts';
import { parseAddress } from '../../wire/address.ts';

export interface StaticMembershipOptions {
  /** `host:port` of every node's HTTP face; this node may be among them, so that all nodes can have the same list. */
  readonly members: readonly string[];
}

/** Errors: `option-invalid` for what is no `host:port`. */
export function openStaticMembership(options: StaticMembershipOptions): Membership {
  const addresses = [...new Set(options.members)];
  const wrong = addresses.find((address) => parseAddress(address) === undefined);
  if (wrong !== undefined) throw new BitacoraError('option-invalid', `"${wrong}" in the list of members is not host:port`);
  let state: MembershipState = 'joining';
  let others: readonly Member[] = addresses.map((address) => ({ address, socket: '' }));
  return {
    kind: addresses.length === 0 ? 'none' : 'static',
    get state() {
      return state;
    },
    get others() {
      return others;
    },
    join(self) {
      if (state === 'left') throw new BitacoraError('closed', 'this node has left and does not join again');
      state = 'joined';
      others = others.filter((member) => member.address !== self.address);
    },
    async leave() {
      state = 'left';
    },
  };
}
