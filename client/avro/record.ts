/** A found value of the wire as users see it. */
import { looseTextOf } from '../../src/core/bytes.ts';
import type { Answer, KeyValue, Position } from '../../wire/avro/messages.ts';
import type { KeyRecord } from '../client.ts';

const sources = ['local', 'local', 'peer', 'stale'] as const;

class FoundRecord implements KeyRecord {
  readonly key: string;
  readonly value: Uint8Array;
  readonly version: string | undefined;
  readonly timestamp: Date;
  readonly expires: Date | undefined;
  readonly contentType: string | undefined;
  readonly id: string;
  readonly source: KeyRecord['source'];
  readonly position: string | undefined;

  constructor(key: string, found: KeyValue, { applied: { partition, offset }, source }: Answer) {
    this.key = key;
    this.value = found.value;
    this.version = found.version === null ? undefined : placeText(found.version);
    this.timestamp = new Date(found.timestamp);
    this.expires = found.expires === 0 ? undefined : new Date(found.expires);
    this.contentType = found.contentType === '' ? undefined : found.contentType;
    this.id = found.uuid;
    this.source = sources[source] ?? 'local';
    this.position = offset === 0 ? undefined : placeText({ partition, offset: offset - 1 });
  }

  text(): string {
    return looseTextOf(this.value);
  }
}

/** Undefined: absent. */
export function recordOf(key: string, answer: Answer): KeyRecord | undefined {
  return answer.found === null ? undefined : new FoundRecord(key, answer.found, answer);
}

export const placeText = ({ partition, offset }: Position): string => `${partition}:${offset}`;
