import { argument, command } from '../../command.ts';
import { renderOperation } from '../../render/operation.ts';
import { followOperation } from '../follow-operation.ts';
import { themeOf } from '../page.ts';

export const operationWatch = command({
  path: 'operation watch',
  summary: 'Follow an operation to its end; the exit code is that of the operation',
  args: [{ name: 'OPERATION', help: 'op-... id', complete: 'operation' }],
  options: {
    showCommands: { kind: 'flag', flag: 'show-commands', help: 'show the exact commands that run on the node' },
  },
  examples: ['pxmgr operation watch op-01kahq5v3m8n9p7r6s5t4w2x1y --show-commands'],
  run: async (context, input) =>
    await followOperation(context, argument(input, 0), {
      commands: input.options.showCommands,
      done: (operation) => renderOperation(operation, themeOf(context), context.clock.now()),
    }),
});
