/** What is in a store that no node is running on: looked at as a whole, and value by value. */
import { isSystemKey } from '../../src/core/keys.ts';
import type { Entry } from '../../src/ports.ts';
import type { KeptSnapshot } from './kept-snapshot.ts';
import { family, textAfter } from './keys.ts';
import { entryOf } from './row.ts';
import { sealedIsEmpty } from './sealed.ts';
import { SnapshotCheck } from './snapshot-check.ts';

/** So many doubtful keys are named. */
const mostNamed = 10;

/** Users' keys only. */
export interface Survey {
  /** Of all families, those of the system among them. */
  readonly rows: number;
  /** Keys with a value, those past their deadline among them. */
  readonly values: number;
  /** Keys that are deleted. */
  readonly deleted: number;
  /** Keys whose value this store's node had decided, and no statement in the log had settled yet. */
  readonly unsettled: number;
  /** Those of them about which the node was not certain; the first few by name. */
  readonly doubtful: { readonly count: number; readonly first: readonly string[] };
}

/** Reads every row and checks it. `progress` hears the rows so far. Errors: `store-damaged`, `store-failed`. */
export async function surveyOf(kept: KeptSnapshot, progress: (rows: number) => void = () => undefined): Promise<Survey> {
  const check = new SnapshotCheck(kept);
  let [values, deleted, unsettled, doubtful] = [0, 0, 0, 0];
  const first: string[] = [];
  for await (const run of kept.runs()) {
    check.take(run, (key, row) => {
      if (key[1] === 0) return;
      if (key[0] === family.entry) {
        if (entryOf(row).deleted) deleted++;
        else values++;
      }
      if (key[0] !== family.unsettled) return;
      unsettled++;
      if (sealedIsEmpty(row)) return;
      if (++doubtful <= mostNamed) first.push(textAfter(key));
    });
    progress(check.rows);
  }
  check.end();
  return { rows: check.rows, values, deleted, unsettled, doubtful: { count: doubtful, first } };
}

/** Users' keys that have a value, behind `after`, in the order of their bytes. Values are views. Errors: as `surveyOf`. */
export async function* valuesIn(
  kept: KeptSnapshot,
  after: string | undefined,
): AsyncGenerator<{ readonly key: string; readonly entry: Entry }, void, undefined> {
  const check = new SnapshotCheck(kept);
  const behind = after === undefined ? undefined : Buffer.from(after);
  for await (const run of kept.runs()) {
    const found: { key: string; entry: Entry }[] = [];
    check.take(run, (levelKey, row) => {
      if (levelKey[0] !== family.entry) return;
      if (behind !== undefined && Buffer.compare(levelKey.subarray(1), behind) <= 0) return;
      const key = textAfter(levelKey);
      const entry = entryOf(row);
      if (!isSystemKey(key) && !entry.deleted) found.push({ key, entry });
    });
    yield* found;
  }
}
