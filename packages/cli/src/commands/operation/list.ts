import type { Operation } from '@pxmgr/contract/common';
import { OperationServiceClient } from '@pxmgr/contract/controller';
import { controllerOf } from '../../client.ts';
import { command } from '../../command.ts';
import { elapsed, operationJson, stateWord } from '../../render/operation.ts';
import { paintState } from '../../render/theme.ts';
import { relativeTime } from '../../render/time.ts';
import { list } from '../../result.ts';
import { parseLimit } from '../../spec/limit-flag.ts';
import { Problems } from '../../spec/problems.ts';
import { themeOf } from '../page.ts';

export const operationList = command({
  path: 'operation list',
  summary: 'List operations, newest first',
  options: {
    active: { kind: 'flag', flag: 'active', help: 'only those that have not ended' },
    limit: { kind: 'text', flag: 'limit', value: 'N', help: 'at most N (default: 50)' },
  },
  examples: ['pxmgr operation list --active'],
  run: async (context, { options }) => {
    const problems = new Problems();
    const limit = parseLimit(options.limit, problems);
    problems.refuse();
    const { operations } = await controllerOf(context).ask(OperationServiceClient, 'listOperations', {
      activeOnly: options.active,
      limit,
    });
    const theme = themeOf(context);
    const now = context.clock.now();
    return list<Operation>({
      noun: 'Operation',
      rows: operations,
      columns: [
        { head: 'ID', value: (row) => row.id },
        { head: 'STATE', value: (row) => paintState(theme, stateWord(row.state)) },
        { head: 'WHAT', shrink: 1, value: (row) => row.title },
        { head: 'STARTED', value: (row) => relativeTime(row.startedAt ?? row.createdAt, now) },
        { head: 'TOOK', align: 'right', value: (row) => elapsed(row.startedAt, row.endedAt, now) },
        { head: 'PROBLEM', wide: true, value: (row) => row.problem?.code ?? '-' },
        { head: 'NODE', wide: true, value: (row) => row.nodeName || '-' },
        { head: 'VMID', wide: true, align: 'right', value: (row) => (row.vmid === 0 ? '-' : String(row.vmid)) },
        { head: 'PLAN', wide: true, value: (row) => row.planId || '-' },
      ],
      name: (row) => row.id,
      json: operationJson,
      empty: options.active ? 'no operation is running' : 'no operation was ever started',
    });
  },
});
