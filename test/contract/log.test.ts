/** The contract of the log, kept by the logs that need no broker. */
import { logContract } from './log.ts';
import { embeddedHarness } from './log-embedded-harness.ts';
import { memoryHarness } from './log-memory-harness.ts';

logContract('memory', memoryHarness);
logContract('embedded', embeddedHarness);
