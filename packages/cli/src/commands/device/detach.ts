import { argument, command } from '../../command.ts';
import { DEVICE_OPTIONS, parseCards, parseDevices } from '../../spec/device-flags.ts';
import { Problems } from '../../spec/problems.ts';
import { changePlanner, GUEST_ARGS, NODE_OPTION } from '../action-plan.ts';
import { CHANGE_OPTIONS, carryOut } from '../carry-out.ts';
import { guestLine } from '../guest-lines.ts';

export const deviceDetach = command({
  path: 'device detach',
  summary: 'Take GPUs, USB devices or device nodes from a container',
  description: 'A running container keeps them until its next start.',
  args: GUEST_ARGS,
  options: {
    gpu: { kind: 'list', flag: 'gpu', value: 'ADDRESS', help: 'every node of the card at this PCI address' },
    ...DEVICE_OPTIONS,
    node: NODE_OPTION,
    ...CHANGE_OPTIONS,
  },
  examples: ['pxmgr device detach web --gpu 0000:03:00.0'],
  run: async (context, input) => {
    const { options } = input;
    const problems = new Problems();
    const devices = [...parseCards(options.gpu, problems), ...parseDevices(options, problems)];
    if (devices.length === 0) problems.add('device', 'give --gpu, --usb or --path');
    problems.refuse();
    const guest = { key: argument(input, 0), node: options.node ?? '' };
    return await carryOut(context, {
      flags: options,
      makePlan: changePlanner(context, options, { guest, change: { $case: 'detachDevices', value: { devices } } }),
      done: guestLine('has given it up'),
    });
  },
});
