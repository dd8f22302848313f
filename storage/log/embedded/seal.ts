/**
 * Whether the embedded log takes writes: a row of its own, written with fsync before anybody is told, and read again whenever the log is
 * opened. Only one process writes here, so that what memory knows is the truth.
 */
import { BitacoraError } from '../../../src/core/errors.ts';
import type { Level } from '../../level.ts';
import type { Disk } from './disk.ts';
import { sealBytes, sealKey, unseal } from './rows.ts';

export class Seal {
  /** The row is on disk. */
  #sealed = false;
  /** A sealing is under way: whatever the disk says, and is found to say when it is opened again meanwhile, nothing new is committed. */
  #closing: Promise<void> | undefined;

  get sealed(): boolean {
    return this.#sealed || this.#closing !== undefined;
  }

  /** Throws `DamagedRow`. */
  async load(level: Level): Promise<void> {
    const row = await level.get(sealKey);
    if (row !== undefined) unseal(sealKey, row);
    this.#sealed = row !== undefined;
  }

  /**
   * From this call on nothing new is committed; what is being committed is waited for. Who calls while another call is under way hears what
   * that one comes to. Errors: `log-unavailable`, `closed`.
   */
  close(disk: Disk, committed: Promise<unknown>): Promise<void> {
    this.#closing ??= this.#close(disk, committed).finally(() => {
      this.#closing = undefined;
    });
    return this.#closing;
  }

  async #close(disk: Disk, committed: Promise<unknown>): Promise<void> {
    await committed;
    if (this.#sealed) return;
    // After a failed write the row is looked for when the log is opened again (`load`); until then nothing can be written anyway.
    await this.#write(disk, (batch) => batch.put(sealKey, sealBytes(sealKey, Buffer.alloc(0))));
    this.#sealed = true;
  }

  /** Errors: `log-unavailable`, `closed`. */
  async open(disk: Disk): Promise<void> {
    // Whether that came to anything its own caller hears.
    await this.#closing?.catch(() => undefined);
    if (!this.#sealed) return;
    await this.#write(disk, (batch) => batch.del(sealKey));
    this.#sealed = false;
  }

  async #write(disk: Disk, change: (batch: ReturnType<Level['batch']>) => unknown): Promise<void> {
    const batch = disk.level.batch();
    change(batch);
    try {
      await batch.write({ sync: true });
    } catch (cause) {
      disk.fail(cause);
      throw new BitacoraError('log-unavailable', 'the disk did not take the seal, or its end; whether it did will be seen', { cause });
    }
  }
}
