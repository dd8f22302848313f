/** The rules that every log keeps for records that are appended side by side, all or none. */
import { BitacoraError } from '../../src/core/errors.ts';
import type { NewRecord } from '../../src/ports.ts';

/** Bytes of a record as the bounds count them: key, value and headers. */
export function recordBytes(record: NewRecord): number {
  let bytes = record.key.length + (record.value?.length ?? 0);
  for (const [name, value] of Object.entries(record.headers)) bytes += name.length + value.length;
  return bytes;
}

/** Why these records cannot be appended together; undefined: they can. A record alone is bound by its own limit only. */
export function refuseTogether(records: readonly NewRecord[], togetherBytes: number): BitacoraError | undefined {
  if (records.length === 1) return undefined;
  if (records.length === 0) return new BitacoraError('batch-invalid', 'a batch has at least one record');
  const bytes = records.reduce((sum, record) => sum + recordBytes(record), 0);
  if (bytes <= togetherBytes) return undefined;
  return new BitacoraError('batch-invalid', `the records have ${bytes} bytes together, the log takes ${togetherBytes} in one request`);
}
