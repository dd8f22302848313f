/** A LevelDB store as it was at one moment, for another node to take: LevelDB keeps what the snapshot sees for as long as it is open. */
import { BitacoraError } from '../../src/core/errors.ts';
import type { SnapshotRun, StoreSnapshot } from '../../src/ports.ts';
import { joinRows } from '../../wire/snapshot-rows.ts';
import { type Level, levelError } from '../level.ts';
import { travels } from './keys.ts';
import { STORE_FORMAT } from './level-files.ts';
import { readCheckpoints, readIdentity } from './level-state.ts';

/** Rows and bytes of a run, about: a millisecond of this process's time. A row that is larger is a run of its own. */
const RUN_ROWS = 4000;
const RUN_BYTES = 256 * 1024;

/** Errors: `position-not-reached` (the store has no identity yet), `store-damaged`, and whatever LevelDB throws. */
export async function openLevelSnapshot(level: Level): Promise<StoreSnapshot> {
  // Every batch brings its checkpoint, so whatever the moment, data and position are of the same one.
  const snapshot = level.snapshot();
  try {
    const identity = await readIdentity(level, snapshot);
    if (identity === undefined) throw new BitacoraError('position-not-reached', 'the store is of no log yet');
    const checkpoints = await readCheckpoints(level, identity.partitions, snapshot);
    return {
      format: STORE_FORMAT,
      identity,
      checkpoints,
      read: (after) => readRuns(level, snapshot, after),
      close: () => snapshot.close(),
    };
  } catch (error) {
    await snapshot.close();
    throw error;
  }
}

/** The checksums of rows are not looked at: who takes them does, and what is wrong must be noticed there in any case. */
async function* readRuns(
  level: Level,
  snapshot: ReturnType<Level['snapshot']>,
  after: Uint8Array | undefined,
): AsyncGenerator<SnapshotRun> {
  try {
    const rows = level.iterator({ gt: after ?? new Uint8Array(0), snapshot, fillCache: false, highWaterMarkBytes: RUN_BYTES });
    try {
      // LevelDB reads on in its own thread while the caller sends what was read.
      let reading = rows.nextv(RUN_ROWS);
      for (;;) {
        const read = await reading;
        if (read.length === 0) return;
        reading = rows.nextv(RUN_ROWS);
        // It is awaited when the caller comes back; if he does not, nobody needs to know.
        reading.catch(() => undefined);
        const given = read.filter(([key]) => travels(key));
        if (given.length > 0) yield { bytes: joinRows(given), rows: given.length, last: given[given.length - 1]![0] };
      }
    } finally {
      await rows.close();
    }
  } catch (error) {
    throw levelError(error);
  }
}
