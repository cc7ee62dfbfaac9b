import { limits } from '@pxmgr/contract';
import type { OperationServiceService } from '@pxmgr/contract/controller';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import type { Implementation } from '@pxmgr/kit/rpc/handlers';
import { identityText } from '@pxmgr/kit/rpc/identity';
import { watchOperation } from '../execute/watch.ts';
import type { Work } from '../execute/work.ts';

/** Operations go on whether or not anybody watches. */
export function operationService(work: Work): Implementation<typeof OperationServiceService> {
  const { operations } = work.records;
  return {
    getOperation: async ({ id }) => {
      const record = operations.get(id);
      if (record === undefined) throw new PxmError('PXM_OPERATION_NOT_FOUND', { operation: id });
      return await Promise.resolve({ operation: record.operation });
    },
    listOperations: async ({ activeOnly, limit }) => {
      const count = Math.min(limit || limits.HISTORY_ROWS_DEFAULT, limits.HISTORY_ROWS_MAX);
      return await Promise.resolve({ operations: operations.list({ activeOnly, limit: count }) });
    },
    watchOperation: async ({ id, afterSeq }, { signal }, write) => {
      for await (const event of watchOperation(work, id, { afterSeq, signal })) await write({ event });
    },
    cancelOperation: async ({ id }, { identity }) =>
      await Promise.resolve({ operation: work.executor.cancel(id, identityText(identity)) }),
  };
}
