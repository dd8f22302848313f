/** `/openapi.json` and `/docs`: made once, when the server opens. */
import type { Route } from '../exchange.ts';
import { answering } from './answering.ts';
import { docsPage, pagePolicy } from './docs-page.ts';
import { getDocs, getOpenApi } from './node-operations.ts';
import { openApiDocument } from './openapi.ts';
import type { V1Rooms } from './rooms.ts';
import { json } from './shapes.ts';

export function docsRoutes(rooms: V1Rooms): readonly Route[] {
  const document = openApiDocument(rooms.version);
  const text = `${JSON.stringify(document, null, 2)}\n`;
  const page = docsPage(document);
  const keep = ['Cache-Control', 'no-cache', 'X-Content-Type-Options', 'nosniff'];
  const policy = ['Content-Security-Policy', pagePolicy, 'Referrer-Policy', 'no-referrer'];
  const openApi = answering(rooms, getOpenApi, () => ({ status: 200, type: json, headers: keep, body: text }));
  const docs = answering(rooms, getDocs, () => ({
    status: 200,
    type: 'text/html; charset=utf-8',
    headers: [...keep, ...policy],
    body: page,
  }));
  return [
    { path: getOpenApi.path, methods: { GET: openApi } },
    { path: getDocs.path, methods: { GET: docs } },
  ];
}
