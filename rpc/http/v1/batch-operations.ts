/** `/v1/batch`: what it takes and what it answers. */
import { readErrors } from './key-operations.ts';
import { operation } from './operation.ts';
import { readHeadersShape, readQueryShape } from './reading.ts';
import { Type } from './schema.ts';
import { BatchAnswer, BatchBody, BatchList, BatchOperation, json, ndjson } from './shapes.ts';

export const postBatch = operation({
  id: 'postBatch',
  method: 'POST',
  path: '/v1/batch',
  group: 'Batch',
  summary: 'Many operations at once',
  description:
    'Up to 1,000 operations: `{"operations": […], "atomic": false}`, the bare list, or one a line as NDJSON. Each has its own result, in their order, with the status that it would have had alone; operations on one key are done in their order, others side by side. `"atomic": true`: all or none, decided at one place in the log; the keys must share a partition, which a common `{tag}` in them does. The values of an answer are bounded to 8 MiB together: a get beyond that is `overloaded` and to be asked for alone.',
  query: Type.Object({ ...readQueryShape }, { additionalProperties: false }),
  headers: Type.Object({
    ...readHeadersShape,
    'Content-Type': Type.String({ description: `\`${json}\` or \`${ndjson}\`.`, examples: [json] }),
  }),
  body: {
    description: 'The operations.',
    required: true,
    content: { [json]: Type.Union([BatchBody, BatchList]), [ndjson]: BatchOperation },
  },
  outcomes: { 200: { description: 'The results, whatever they are.', headers: ['Bitacora-Position'], content: { [json]: BatchAnswer } } },
  errors: [
    'key-invalid',
    'value-too-large',
    'version-conflict',
    'batch-invalid',
    'conditions-unsupported',
    ...readErrors,
    'unknown-outcome',
  ],
  curl: `curl localhost:8082/v1/batch --json '[{"op":"put","key":"a","value":"1"},{"op":"get","key":"a"}]'`,
});
