import { OperationServiceClient } from '@pxmgr/contract/controller';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { controllerOf } from '../../client.ts';
import { argument, command } from '../../command.ts';
import { operationJson, stateWord } from '../../render/operation.ts';
import { detail } from '../../result.ts';

export const operationCancel = command({
  path: 'operation cancel',
  summary: 'Stop an operation; what it made so far is undone',
  args: [{ name: 'OPERATION', help: 'op-... id', complete: 'operation' }],
  examples: ['pxmgr operation cancel op-01kahq5v3m8n9p7r6s5t4w2x1y'],
  run: async (context, input) => {
    const id = argument(input, 0);
    const { operation } = await controllerOf(context).ask(OperationServiceClient, 'cancelOperation', { id });
    if (operation === undefined) throw new PxmError('PXM_OPERATION_NOT_FOUND', { operation: id });
    const state = stateWord(operation.state);
    const line =
      state === 'cancelled'
        ? `${id} is cancelled`
        : `${id} is being cancelled (now ${state}); watch it with: pxmgr operation watch ${id}`;
    return detail({ noun: 'Operation', name: id, lines: [line], json: operationJson(operation) });
  },
});
