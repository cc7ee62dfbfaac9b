import { formatImageReference, parseImageReference } from '@pxmgr/contract';
import { PlacementServiceClient } from '@pxmgr/contract/controller';
import { controllerOf } from '../../client.ts';
import { argument, command } from '../../command.ts';
import { Problems } from '../../spec/problems.ts';
import { CHANGE_OPTIONS, carryOut } from '../carry-out.ts';

export const imagePull = command({
  path: 'image pull',
  summary: 'Pull an OCI image to a node, verify it, and keep it there as a template archive',
  args: [{ name: 'IMAGE', help: 'reference, e.g. docker.io/library/nginx:1.27', complete: 'image' }],
  options: {
    node: { kind: 'text', flag: 'node', value: 'NODE', help: 'to this node', complete: 'node' },
    platform: {
      kind: 'text',
      flag: 'platform',
      value: 'OS/ARCH',
      help: 'platform of the image (default: that of the node)',
    },
    ...CHANGE_OPTIONS,
  },
  examples: ['pxmgr image pull docker.io/library/nginx:1.27 --node pve1'],
  run: async (context, input) => {
    const problems = new Problems();
    const text = argument(input, 0);
    const reference = problems.take(`image ${text}`, parseImageReference(text));
    if (input.options.node === undefined) problems.add('--node', 'is missing: say where to (see "pxmgr node list")');
    problems.refuse();
    const value = {
      reference: reference === undefined ? text : formatImageReference(reference),
      node: input.options.node ?? '',
      platform: input.options.platform ?? '',
    };
    return await carryOut(context, {
      flags: input.options,
      makePlan: async (dryRun) =>
        await controllerOf(context).askSlow(PlacementServiceClient, 'planAction', {
          action: { $case: 'pull', value },
          dryRun,
          showCommands: input.options.showCommands,
        }),
      done: (operation) => [
        `${value.reference} is on ${operation.nodeName}`,
        ...(operation.results['digest'] === undefined ? [] : [operation.results['digest']]),
      ],
    });
  },
});
