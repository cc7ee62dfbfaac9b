import type { OperationServiceService } from '@pxmgr/contract/agent';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import type { Implementation } from '@pxmgr/kit/rpc/handlers';
import { identityText } from '@pxmgr/kit/rpc/identity';
import type { OperationStore } from '../operation/operation-store.ts';

/** Long-running work: ask, follow, cancel; only translation. */
export function operationService(store: OperationStore): Implementation<typeof OperationServiceService> {
  return {
    getOperation: ({ key }) => {
      if (key?.$case === 'id') return Promise.resolve({ operation: store.get(key.value) });
      const found = key === undefined ? undefined : store.findByKey(key.value);
      if (found === undefined) throw new PxmError('PXM_OPERATION_NOT_FOUND', { operation: key?.value ?? '' });
      return Promise.resolve({ operation: found });
    },
    listOperations: (request) => Promise.resolve({ operations: store.list(request) }),
    watchOperation: async ({ id, afterSeq }, context, write) => {
      for await (const event of store.watch(id, afterSeq, context.signal)) await write({ event });
    },
    cancelOperation: ({ id, actor }, context) => {
      const who = actor === '' ? identityText(context.identity) : actor;
      return Promise.resolve({ operation: store.cancel(id, who) });
    },
  };
}
