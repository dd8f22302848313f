/**
 * The topic's identity: one record under a system key, written once by whichever node is first, as a conditional put `absent` that is
 * settled like any other. It is how a topic recreated under the same name is told apart, on every connection, before anything is read.
 */
import { bytesOf, looseTextOf } from '../core/bytes.ts';
import { genesisKey } from '../core/keys.ts';
import { decodeRecord } from '../core/record.ts';
import type { Landmark, LogRecord, StoreIdentity } from '../ports.ts';

export const genesisKeyBytes = bytesOf(genesisKey);

/** The id that a record gives the topic, whether or not it came first; undefined: it is no record of the genesis key, or unreadable. */
export function genesisIdOf(record: LogRecord): string | undefined {
  if (record.key === null || record.value === null || Buffer.compare(record.key, genesisKeyBytes) !== 0) return undefined;
  return typeof decodeRecord(record) === 'string' ? undefined : looseTextOf(record.value);
}

/**
 * Where to look for the genesis record. Compaction may have removed the one at the known offset, but only because a newer one stands
 * further on. A conditional put of another id proves nothing: it is the attempt of a node that came second.
 */
export function genesisLandmark(identity: StoreIdentity): Landmark | undefined {
  const genesis = identity.genesis;
  if (genesis === undefined) return undefined;
  return {
    partition: genesis.partition,
    offset: genesis.offset,
    recognise(record: LogRecord): boolean | undefined {
      const id = genesisIdOf(record);
      if (id === undefined) return undefined;
      if (id === genesis.id) return true;
      const decoded = decodeRecord(record);
      return typeof decoded !== 'string' && (decoded.operation === 'statement' || decoded.operation === 'put') ? false : undefined;
    },
  };
}
