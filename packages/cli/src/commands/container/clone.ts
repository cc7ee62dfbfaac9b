import { parseGuestName, parseSnapshotName } from '@pxmgr/contract';
import { CloneAction } from '@pxmgr/contract/controller';
import { argument, command } from '../../command.ts';
import { VMID_OPTION, vmidOf } from '../../spec/container-options.ts';
import { Problems } from '../../spec/problems.ts';
import { actionPlanner, GUEST_ARG, NODE_OPTION } from '../action-plan.ts';
import { CHANGE_OPTIONS, carryOut } from '../carry-out.ts';
import { guestLine } from '../guest-lines.ts';

export const containerClone = command({
  path: 'container clone',
  summary: 'Copy a container on its node',
  description:
    'The clone is stopped, with a new id, new MAC addresses and none of the devices. A template is cloned on top of its data where its storage can do that; everything else is copied, which needs the container stopped, or a snapshot of it.',
  args: [GUEST_ARG, { name: 'NAME', help: 'host name of the clone' }],
  options: {
    snapshot: { kind: 'text', flag: 'snapshot', value: 'NAME', help: 'as it was at this snapshot' },
    full: { kind: 'flag', flag: 'full', help: 'copy all data, of a template too' },
    storage: { kind: 'text', flag: 'storage', value: 'STORAGE', help: 'for a copy (default: where the original lies)' },
    vmid: VMID_OPTION,
    node: NODE_OPTION,
    ...CHANGE_OPTIONS,
  },
  examples: ['pxmgr container clone web web-2', 'pxmgr container clone web web-test --snapshot before-upgrade'],
  run: async (context, input) => {
    const { options } = input;
    const problems = new Problems();
    const name = argument(input, 1);
    const { snapshot = '', storage = '', full } = options;
    problems.take(`name ${name}`, parseGuestName(name));
    if (snapshot !== '') problems.take(`--snapshot ${snapshot}`, parseSnapshotName(snapshot));
    const vmid = vmidOf(options.vmid, problems);
    problems.refuse();
    const guest = { key: argument(input, 0), node: options.node ?? '' };
    const value = CloneAction.fromPartial({ guest, name, vmid, snapshot, storage, full });
    return await carryOut(context, {
      flags: options,
      makePlan: actionPlanner(context, options, { $case: 'clone', value }),
      done: guestLine('is made'),
    });
  },
});
