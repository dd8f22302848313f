/** `npm run bench [-- http post v1 avro restore seed first-answer]`: ratios inside one run, because absolute figures on a shared machine mean little. */
import { buildProject } from '../test/services/build.ts';
import { startKafka } from '../test/services/kafka.ts';
import { benchAvro } from './avro.ts';
import { benchFirstAnswer } from './first-answer.ts';
import { benchHttp } from './http.ts';
import { benchPost } from './post.ts';
import { fellShort } from './report.ts';
import { benchRestore } from './restore.ts';
import { benchSeed } from './seed.ts';
import { benchV1 } from './v1.ts';

const wanted = process.argv.slice(2);
const wants = (name: string) => wanted.length === 0 || wanted.includes(name);

await buildProject();
if (wants('http')) {
  process.stdout.write('http\n');
  await benchHttp();
}
const kafka = ['post', 'v1', 'avro', 'restore', 'seed', 'first-answer'].some(wants) ? await startKafka() : undefined;
try {
  if (kafka !== undefined && wants('post')) {
    process.stdout.write('post\n');
    await benchPost(kafka);
  }
  if (kafka !== undefined && wants('v1')) {
    process.stdout.write('v1\n');
    await benchV1(kafka);
  }
  if (kafka !== undefined && wants('avro')) {
    process.stdout.write('avro\n');
    await benchAvro(kafka);
  }
  if (kafka !== undefined && wants('restore')) {
    process.stdout.write('restore\n');
    await benchRestore(kafka);
  }
  if (kafka !== undefined && wants('seed')) {
    process.stdout.write('seed\n');
    await benchSeed(kafka);
  }
  if (kafka !== undefined && wants('first-answer')) {
    process.stdout.write('first-answer\n');
    await benchFirstAnswer(kafka);
  }
} finally {
  await kafka?.stop();
}
if (fellShort().length > 0) {
  process.stdout.write(`fell short: ${fellShort().join(', ')}\n`);
  process.exitCode = 1;
}
process.exit();
