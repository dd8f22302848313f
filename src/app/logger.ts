/** The one file that names `pino`: structured lines on standard output, pretty for people at a terminal. */
import pino from 'pino';
import pretty from 'pino-pretty';
import type { Logger } from '../ports.ts';

/** Level names as words, ISO times, stable dotted `event` names; nothing of the host, which the collector knows. */
export function createLogger(level: string, format: 'auto' | 'json' | 'pretty'): Logger {
  const settings: pino.LoggerOptions = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
  };
  const forPeople = format === 'pretty' || (format === 'auto' && process.stdout.isTTY);
  if (!forPeople) return pino(settings);
  return pino(
    settings,
    pretty({ colorize: process.stdout.isTTY, translateTime: 'SYS:HH:MM:ss.l', ignore: 'event', singleLine: true, sync: true }),
  );
}
