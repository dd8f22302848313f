/** What a node says of itself. */
import type { Ask } from './ask.ts';
import { fieldsOf } from './fields.ts';
import type { NodeReport } from './types.ts';

export function nodeReport(): Ask<NodeReport> {
  return {
    write: false,
    method: 'GET',
    path: '/v1/node',
    take: (reply) => {
      const node = fieldsOf(reply);
      const limits = node.fields('limits');
      return {
        node: node.text('node'),
        version: node.text('version'),
        state: node.text('state'),
        reason: node.textIfAny('reason'),
        ready: node.flag('ready'),
        writable: node.flag('writable'),
        progress: node.number('progress'),
        applied: node.text('applied'),
        lagMs: node.number('lag_ms'),
        log: node.text('log'),
        genesis: node.textIfAny('genesis'),
        partitions: node.number('partitions'),
        entries: node.number('entries'),
        limits: {
          valueBytes: limits.number('value_bytes'),
          headerBytes: limits.number('header_bytes'),
          batchOperations: limits.number('batch_operations'),
          batchBytes: limits.number('batch_bytes'),
          listItems: limits.number('list_items'),
        },
        supports: node.texts('supports'),
      };
    },
  };
}
