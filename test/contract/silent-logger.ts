import type { Logger } from '../../src/ports.ts';

const show = process.env['TEST_LOG'] === undefined ? () => undefined : (fields: object, message: string) => console.error(message, fields);

/** A logger for tests: silent, or on stderr with TEST_LOG set. */
export const silentLogger: Logger = { debug: show, info: show, warn: show, error: show };
