import { FleetServiceClient } from '@pxmgr/contract/controller';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { controllerOf } from '../../client.ts';
import { argument, command } from '../../command.ts';
import { detail } from '../../result.ts';
import { confirm, YES_OPTION } from '../confirm.ts';

export const nodeLeave = command({
  path: 'node leave',
  summary: 'Take a node out of the fleet: its certificate and bus access end at once',
  description: 'Its guests go on running and are not touched. To come back it joins with a new token.',
  args: [{ name: 'NODE', help: 'name or uid', complete: 'node' }],
  options: {
    yes: YES_OPTION,
    dryRun: { kind: 'flag', flag: 'dry-run', help: 'say what would happen, change nothing' },
  },
  examples: ['pxmgr node leave pve3'],
  run: async (context, input) => {
    const key = argument(input, 0);
    const { node } = await controllerOf(context).ask(FleetServiceClient, 'getNode', { node: key });
    if (node === undefined) throw new PxmError('PXM_NODE_NOT_FOUND', { node: key });
    const effect = `node ${node.name} (${node.uid}) with ${node.containers} containers leaves the fleet; its guests go on running`;
    if (input.options.dryRun)
      return detail({
        noun: 'Node',
        name: node.name,
        lines: [`would do: ${effect}`],
        json: { uid: node.uid, name: node.name, dryRun: true },
      });
    if (!input.options.yes)
      await confirm(context, {
        question: `Let node ${node.name} leave the fleet?`,
        command: 'pxmgr node leave',
        effect: async () => await Promise.resolve([effect]),
      });
    const answer = await controllerOf(context).ask(FleetServiceClient, 'revokeNode', { node: node.uid });
    return detail({ noun: 'Node', name: answer.name, lines: [`node ${answer.name} has left the fleet`], json: answer });
  },
});
