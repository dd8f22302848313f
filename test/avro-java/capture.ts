/** Writes the golden files of test/wire anew: what Avro's own clients and servers say to each other. `npx tsx test/avro-java/capture.ts` */
import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { avroVersions, javaProgram } from './java-program.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '../..');
const folder = join(root, 'test/wire/golden');

await mkdir(folder, { recursive: true });
for (const version of avroVersions) {
  const { command, args } = await javaProgram(version);
  const options = { timeout: 120_000, maxBuffer: 16 * 1024 * 1024 };
  const { stdout } = await run(command, [...args, 'capture', join(root, 'docs/avro/RPCHandlerAvro.avpr')], options);
  const file = join(folder, `avro-${version}.json`);
  await writeFile(file, stdout);
  // As the linter wants it.
  await run(process.execPath, [join(root, 'node_modules/@biomejs/biome/bin/biome'), 'format', '--write', file], { cwd: root });
  process.stdout.write(`${file}\n`);
}
