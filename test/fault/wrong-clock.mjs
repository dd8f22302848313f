/** Loaded into a node before its own code: its wall clock goes wrong by the milliseconds that the file of FAULT_CLOCK holds, as often as it changes. */
import { readFileSync } from 'node:fs';

const { now } = Date;
const RealDate = Date;
let skewMs = 0;

function read() {
  try {
    skewMs = Number(readFileSync(process.env.FAULT_CLOCK, 'utf8')) || 0;
  } catch {
    // Not there yet, or just being written: the clock stays as it is.
  }
}

read();
setInterval(read, 100).unref();
globalThis.Date = class extends RealDate {
  constructor(...given) {
    if (given.length === 0) super(now() + skewMs);
    else super(...given);
  }

  static now() {
    return now() + skewMs;
  }
};
