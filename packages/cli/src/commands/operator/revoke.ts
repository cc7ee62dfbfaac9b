import { AccessServiceClient, type Operator } from '@pxmgr/contract/controller';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { controllerOf } from '../../client.ts';
import { argument, command } from '../../command.ts';
import { detail } from '../../result.ts';
import { confirm, YES_OPTION } from '../confirm.ts';

function effectOn(name: string, operators: readonly Operator[]): string {
  const roles = [...new Set(operators.map((one) => one.role))].join(', ');
  return `${operators.length} certificate(s) of operator ${name} (${roles}) are void; running calls end`;
}

export const operatorRevoke = command({
  path: 'operator revoke',
  summary: 'Take back every certificate of an operator, at once',
  args: [{ name: 'NAME', help: 'as in "pxmgr operator list"' }],
  options: {
    yes: YES_OPTION,
    dryRun: { kind: 'flag', flag: 'dry-run', help: 'say what would happen, change nothing' },
  },
  examples: ['pxmgr operator revoke ann'],
  run: async (context, input) => {
    const name = argument(input, 0);
    const known = await controllerOf(context).ask(AccessServiceClient, 'listOperators', { all: false });
    const theirs = known.operators.filter((one) => one.name === name);
    if (theirs.length === 0) throw new PxmError('PXM_OPERATOR_NOT_FOUND', { operator: name });
    const effect = effectOn(name, theirs);
    if (input.options.dryRun)
      return detail({
        noun: 'Operator',
        name,
        lines: [`would do: ${effect}`],
        json: { name, certificates: theirs, dryRun: true },
      });
    if (!input.options.yes)
      await confirm(context, {
        question: `Revoke operator ${name}?`,
        command: 'pxmgr operator revoke',
        effect: async () => await Promise.resolve([effect]),
      });
    const { operators } = await controllerOf(context).ask(AccessServiceClient, 'revokeOperator', { name });
    return detail({
      noun: 'Operator',
      name,
      lines: [effectOn(name, operators)],
      json: { name, certificates: operators },
    });
  },
});
