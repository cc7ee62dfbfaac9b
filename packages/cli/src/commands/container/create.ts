import { PlacementServiceClient } from '@pxmgr/contract/controller';
import { controllerOf } from '../../client.ts';
import { argument, type Command, command } from '../../command.ts';
import { buildConstraints, buildSpec, CONTAINER_OPTIONS } from '../../spec/container-options.ts';
import { Problems } from '../../spec/problems.ts';
import { CHANGE_OPTIONS, carryOut } from '../carry-out.ts';
import { guestLine } from '../guest-lines.ts';

interface Variant {
  readonly path: string;
  readonly summary: string;
  readonly start: boolean;
  readonly examples: readonly string[];
}

const DESCRIPTION =
  'SOURCE is the reference of an OCI image (docker.io/library/nginx:1.27) or a template on the node (local:vztmpl/debian-12-standard_12.7-1_amd64.tar.zst). ' +
  'The node is chosen; --dry-run shows which and why, --show-commands what will run there.';

function variant(options: Variant): Command {
  return command({
    path: options.path,
    summary: options.summary,
    description: DESCRIPTION,
    args: [{ name: 'SOURCE', help: 'image reference or template volume', complete: 'image' }],
    options: { ...CONTAINER_OPTIONS, ...CHANGE_OPTIONS },
    examples: options.examples,
    run: async (context, input) => {
      const problems = new Problems();
      const spec = buildSpec(argument(input, 0), input.options, problems);
      const constraints = buildConstraints(input.options, problems);
      problems.refuse();
      return await carryOut(context, {
        flags: input.options,
        makePlan: async (dryRun) =>
          await controllerOf(context).askSlow(PlacementServiceClient, 'planContainer', {
            spec,
            constraints,
            start: options.start,
            dryRun,
            showCommands: input.options.showCommands,
          }),
        done: guestLine(options.start ? 'runs' : 'is created'),
      });
    },
  });
}

export const containerCreate = variant({
  path: 'container create',
  summary: 'Create a container on the node that fits best',
  start: false,
  examples: [
    'pxmgr container create local:vztmpl/debian-12-standard_12.7-1_amd64.tar.zst --name web --memory 1GiB',
    'pxmgr container create docker.io/library/redis:7 --dry-run --show-commands',
  ],
});

export const run = variant({
  path: 'run',
  summary: 'Create a container from an image, start it and wait until it is ready',
  start: true,
  examples: [
    'pxmgr run docker.io/jellyfin/jellyfin --gpu --mount /tank/media:/media:ro',
    'pxmgr run docker.io/library/nginx:1.27 --net bridge=vmbr0,ip=dhcp --ready http:80/',
  ],
});
