/**
 * Reads the file of vitest's JSON reporter and prints `<passed> <failed>`.
 *
 * A file that could not be loaded, or whose hooks failed, has no failed test of its own and counts as one. No file, or
 * a run without any test, counts as one failure too: nothing was proven.
 *
 * Usage: node scripts/count-tests.mjs <report.json>
 */
import { readFileSync } from 'node:fs';

/** @param {string} path */
function count(path) {
  const report = JSON.parse(readFileSync(path, 'utf8'));
  const brokenFiles = report.testResults.filter(
    (file) => file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed'),
  );
  return { passed: report.numPassedTests, failed: report.numFailedTests + brokenFiles.length };
}

/** @returns {{ passed: number, failed: number }} */
function countOrNothing() {
  try {
    return count(process.argv[2] ?? '');
  } catch {
    return { passed: 0, failed: 0 };
  }
}

const { passed, failed } = countOrNothing();
console.log(`${passed} ${passed + failed === 0 ? 1 : failed}`);
