/** What a node says of itself and of the others, and of this interface. */
import { operation } from './operation.ts';
import { Type } from './schema.ts';
import { ClusterBody, json, NodeBody } from './shapes.ts';

const nothing = { query: Type.Object({}, { additionalProperties: false }), headers: Type.Object({}) };

export const getNode = operation({
  id: 'getNode',
  method: 'GET',
  path: '/v1/node',
  group: 'Node',
  summary: 'What this node says of itself',
  description: 'Its state, how far it has applied the log, its limits, and what its face can do. Answered in every state.',
  ...nothing,
  outcomes: { 200: { description: 'Its word.', content: { [json]: NodeBody } } },
  errors: [],
  curl: 'curl localhost:8082/v1/node',
});

export const getCluster = operation({
  id: 'getCluster',
  method: 'GET',
  path: '/v1/cluster',
  group: 'Node',
  summary: 'What all nodes say of themselves',
  description: 'This node asks the others it knows for their `/v1/node`, all at once, for 500 ms. Who does not answer is listed as such.',
  ...nothing,
  outcomes: { 200: { description: 'All nodes, reachable or not.', content: { [json]: ClusterBody } } },
  errors: [],
  curl: 'curl localhost:8082/v1/cluster',
});

export const getOpenApi = operation({
  id: 'getOpenApi',
  method: 'GET',
  path: '/openapi.json',
  group: 'This interface',
  summary: 'This interface as an OpenAPI 3.1 document',
  description: 'Made from the definitions by which requests are checked.',
  ...nothing,
  outcomes: { 200: { description: 'The document.', content: { [json]: Type.Object({}, { description: 'OpenAPI 3.1.' }) } } },
  errors: [],
  curl: 'curl localhost:8082/openapi.json',
});

export const getDocs = operation({
  id: 'getDocs',
  method: 'GET',
  path: '/docs',
  group: 'This interface',
  summary: 'This interface as a page',
  description: 'The same document for people. Needs no other host.',
  ...nothing,
  outcomes: { 200: { description: 'The page.', content: { 'text/html': Type.String() } } },
  errors: [],
  curl: 'curl localhost:8082/docs',
});
