/** The command line, as a shell has it. */
import { execFile } from 'node:child_process';
import { resolve } from 'node:path';

const main = resolve('dist/src/app/main.js');

/** What a command says, and its exit code. */
export function bitacora(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  return new Promise((done) => {
    execFile(process.execPath, [main, ...argv], (error, out, err) => done({ code: error === null ? 0 : Number(error.code), out, err }));
  });
}
