import { OperationServiceClient } from '@pxmgr/contract/controller';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { controllerOf } from '../../client.ts';
import { argument, command } from '../../command.ts';
import { operationJson, renderOperation } from '../../render/operation.ts';
import { detail } from '../../result.ts';
import { themeOf } from '../page.ts';

export const operationGet = command({
  path: 'operation get',
  summary: 'Show one operation with its steps',
  args: [{ name: 'OPERATION', help: 'op-... id', complete: 'operation' }],
  examples: ['pxmgr operation get op-01kahq5v3m8n9p7r6s5t4w2x1y'],
  run: async (context, input) => {
    const id = argument(input, 0);
    const { operation } = await controllerOf(context).ask(OperationServiceClient, 'getOperation', { id });
    if (operation === undefined) throw new PxmError('PXM_OPERATION_NOT_FOUND', { operation: id });
    return detail({
      noun: 'Operation',
      name: operation.id,
      lines: renderOperation(operation, themeOf(context), context.clock.now()),
      json: operationJson(operation),
    });
  },
});
