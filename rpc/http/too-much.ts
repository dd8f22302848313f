/** Whether the announced length of a body is enough to refuse it, so that a client that asks first need not send it. */
import type { IncomingMessage } from 'node:http';
import { announcedBytes } from './body.ts';
import { formTooLong } from './form-body.ts';
import { maxBatchBytes } from './v1/rooms.ts';
import { isV1, pathOf } from './v1/target.ts';

export function announcesTooMuch(request: IncomingMessage, maxValueBytes: number): boolean {
  const url = request.url ?? '';
  if (!isV1(url)) return formTooLong(request, maxValueBytes);
  return announcedBytes(request) > (pathOf(url) === '/v1/batch' ? maxBatchBytes(maxValueBytes) : maxValueBytes);
}
