/** The build that tests which start the real program (`dist/src/app/main.js`) rely on. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

const buildLimitMs = 180_000;

/** Runs `npm run build` in the project's directory; TEST_BUILD=off leaves `dist` as it is. */
export async function buildProject(): Promise<void> {
  if (process.env['TEST_BUILD'] === 'off') return;
  try {
    await promisify(execFile)('npm', ['run', '--silent', 'build'], { cwd: join(import.meta.dirname, '../..'), timeout: buildLimitMs });
  } catch (error) {
    const output = error instanceof Error && 'stdout' in error ? String(error.stdout) : '';
    throw new Error(`npm run build failed:\n${output.slice(-4000)}`, { cause: error });
  }
}
