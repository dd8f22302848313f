/** All of them, by name. */

import { nemesesOfDisks } from './nemeses-of-disks.ts';
import { nemesesOfKafka } from './nemeses-of-kafka.ts';
import { nemesesOfLines } from './nemeses-of-lines.ts';
import { nemesesOfProcesses } from './nemeses-of-processes.ts';
import type { Nemesis } from './nemesis.ts';

export const nemeses: readonly Nemesis[] = [...nemesesOfProcesses, ...nemesesOfLines, ...nemesesOfDisks, ...nemesesOfKafka];

/** Errors: a name that there is not. */
export function nemesesNamed(names: readonly string[]): Nemesis[] {
  return names.map((name) => {
    const found = nemeses.find((each) => each.name === name);
    if (found === undefined) throw new Error(`no nemesis is called ${name}; there are ${nemeses.map((each) => each.name).join(', ')}`);
    return found;
  });
}
