import { AccessServiceClient, type Operator } from '@pxmgr/contract/controller';
import { controllerOf } from '../../client.ts';
import { command } from '../../command.ts';
import { paintState } from '../../render/theme.ts';
import { relativeTime } from '../../render/time.ts';
import { list } from '../../result.ts';
import { themeOf } from '../page.ts';

function stateOf(operator: Operator, now: Date): string {
  if (operator.revokedAt !== undefined) return 'revoked';
  return (operator.expiresAt ?? now) <= now ? 'expired' : 'valid';
}

export const operatorList = command({
  path: 'operator list',
  summary: 'List the people who have a certificate, and their roles',
  options: { all: { kind: 'flag', flag: 'all', short: 'a', help: 'expired and revoked certificates too' } },
  examples: ['pxmgr operator list', 'pxmgr operator list --all -o wide'],
  run: async (context, { options }) => {
    const { operators } = await controllerOf(context).ask(AccessServiceClient, 'listOperators', { all: options.all });
    const theme = themeOf(context);
    const now = context.clock.now();
    return list<Operator>({
      noun: 'Operator',
      rows: operators,
      columns: [
        { head: 'NAME', value: (row) => row.name },
        { head: 'ROLE', value: (row) => row.role },
        { head: 'STATE', value: (row) => paintState(theme, stateOf(row, now)) },
        { head: 'MADE', value: (row) => relativeTime(row.createdAt, now) },
        { head: 'ENDS', value: (row) => relativeTime(row.revokedAt ?? row.expiresAt, now) },
        { head: 'BY', shrink: 1, value: (row) => row.createdBy },
        { head: 'SERIAL', wide: true, value: (row) => row.serial },
      ],
      name: (row) => row.name,
      json: (row) => ({ ...row, state: stateOf(row, now) }),
      empty: 'no operator has a certificate; "pxmgr operator create" makes one',
    });
  },
});
