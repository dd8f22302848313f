/** What a person is told of a whole store: how large it is, of which moment, and of which log. */
import type { Survey } from '../../storage/store/kept-values.ts';
import { formatToken, logOf } from '../core/position.ts';
import type { Offset, Partition, SnapshotHead } from '../ports.ts';
import { counted } from './shell.ts';

/** As a session's position: everything up to here is in it. Empty: nothing was ever applied. */
export function positionOf({ identity, checkpoints }: SnapshotHead): string {
  const positions = checkpoints.flatMap(({ next }, partition) =>
    next === 0 ? [] : [{ partition: partition as Partition, offset: (next - 1) as Offset }],
  );
  return formatToken({ positions, log: identity.genesis && logOf(identity.genesis.id) });
}

/** Some lines, the last without its newline. */
export function wordsOf(head: SnapshotHead): string {
  const { identity, checkpoints } = head;
  const entries = checkpoints.reduce((sum, each) => sum + each.entries, 0);
  const newest = Math.max(0, ...checkpoints.map(({ logTime }) => logTime));
  const lines = [
    ['position', positionOf(head) || 'none: nothing was applied'],
    ['genesis', identity.genesis?.id ?? 'not known yet'],
    ['log', `${identity.topic} on cluster ${identity.clusterId}, ${counted(identity.partitions, 'partition')}`],
    ['newest', newest === 0 ? 'no record' : `a record of ${new Date(newest).toISOString()}`],
    ['entries', `${entries.toLocaleString('en-US')}, deleted keys and the system's own among them`],
  ];
  if (checkpoints.some(({ whole }) => !whole)) {
    lines.push(['caution', 'its node had not caught up behind a gap in the log: values may be older than the position says']);
  }
  return lines.map(([name, text]) => `  ${name?.padEnd(10)}${text}`).join('\n');
}

/** One line, and one for each thing that is worth a second look. */
export function surveyWords({ values, deleted, unsettled, doubtful }: Survey): string {
  const lines = [`  ${'keys'.padEnd(10)}${values.toLocaleString('en-US')} with a value, ${deleted.toLocaleString('en-US')} deleted`];
  if (unsettled > 0) lines.push(`  ${'unsettled'.padEnd(10)}${counted(unsettled, 'key')}: as its node had decided`);
  if (doubtful.count > 0) {
    const names = doubtful.first.map((key) => JSON.stringify(key)).join(', ');
    const more = doubtful.count > doubtful.first.length ? ', …' : '';
    lines.push(`  ${'doubtful'.padEnd(10)}${counted(doubtful.count, 'key')} whose value its node was not certain of: ${names}${more}`);
  }
  return lines.join('\n');
}

/** `3.2 MB`. */
export function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
