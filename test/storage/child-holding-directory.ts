/** Opens the data directory given and prints `open`, or the code and the message of the error. Ends when its input does. */
import { codeOf } from '../../src/core/errors.ts';
import { openDataDirectory } from '../../storage/data-directory.ts';

try {
  await openDataDirectory(process.argv[2]!);
  console.log('open');
  process.stdin.resume();
} catch (error) {
  console.log(`${codeOf(error)}: ${(error as Error).message}`);
}
