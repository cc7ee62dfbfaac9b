import { argument, command } from '../../command.ts';
import { DEVICE_OPTIONS, parseDevices } from '../../spec/device-flags.ts';
import { parseGpu } from '../../spec/gpu-flag.ts';
import { Problems } from '../../spec/problems.ts';
import { changePlanner, GUEST_ARGS, NODE_OPTION } from '../action-plan.ts';
import { CHANGE_OPTIONS, carryOut } from '../carry-out.ts';
import { guestLine } from '../guest-lines.ts';

export const deviceAttach = command({
  path: 'device attach',
  summary: 'Give GPUs, USB devices or device nodes to a container',
  description:
    'Groups and modes are those of the container. A running container gets it at once where the node can do that, else at its next start, and the command says so. What another container has as a whole, or what is promised to one, is refused.',
  args: GUEST_ARGS,
  options: {
    gpu: {
      kind: 'selector',
      flag: 'gpu',
      value: 'SELECTOR',
      help: 'a GPU: any, amd|intel|nvidia, PCI address, vram=SIZE, count=N, exclusive',
    },
    ...DEVICE_OPTIONS,
    node: NODE_OPTION,
    ...CHANGE_OPTIONS,
  },
  examples: ['pxmgr device attach web --gpu amd', 'pxmgr device attach ha --usb 1-4'],
  run: async (context, input) => {
    const { options } = input;
    const problems = new Problems();
    const gpu = parseGpu(options.gpu, problems);
    const devices = parseDevices(options, problems);
    if (gpu === undefined && devices.length === 0) problems.add('device', 'give --gpu, --usb or --path');
    problems.refuse();
    const guest = { key: argument(input, 0), node: options.node ?? '' };
    return await carryOut(context, {
      flags: options,
      makePlan: changePlanner(context, options, { guest, change: { $case: 'attachDevices', value: { gpu, devices } } }),
      done: guestLine('has it'),
    });
  },
});
