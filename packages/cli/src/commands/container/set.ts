import { parseGuestName, parseSize, parseTag } from '@pxmgr/contract';
import { SetOptions, TagList } from '@pxmgr/contract/common';
import { argument, command, type OptionDefinition, type OptionValues } from '../../command.ts';
import { Problems } from '../../spec/problems.ts';
import { changePlanner, GUEST_ARGS, NODE_OPTION } from '../action-plan.ts';
import { CHANGE_OPTIONS, carryOut } from '../carry-out.ts';
import { guestLine } from '../guest-lines.ts';

const SET_OPTIONS = {
  memory: { kind: 'text', flag: 'memory', value: 'SIZE', help: 'memory, e.g. 512MiB' },
  swap: { kind: 'text', flag: 'swap', value: 'SIZE', help: 'swap; 0 = none' },
  cores: { kind: 'text', flag: 'cores', value: 'N', help: 'number of CPU cores; all = no limit' },
  hostname: { kind: 'text', flag: 'hostname', value: 'NAME', help: 'host name, which is the name of the container' },
  onBoot: { kind: 'text', flag: 'onboot', value: 'WORD', help: 'start with the node', choices: ['yes', 'no'] },
  tags: { kind: 'text', flag: 'tags', value: 'LIST', help: 'all tags, with commas; an empty list takes them off' },
  description: { kind: 'text', flag: 'description', value: 'TEXT', help: 'note kept with the container' },
} as const satisfies Record<string, OptionDefinition>;

type Options = OptionValues<typeof SET_OPTIONS>;

function bytes(flag: string, text: string | undefined, problems: Problems): bigint | undefined {
  if (text === undefined) return undefined;
  const size = text === '0' ? 0 : problems.take(`--${flag} ${text}`, parseSize(text));
  return size === undefined ? undefined : BigInt(size);
}

function cores(text: string | undefined, problems: Problems): number | undefined {
  if (text === undefined) return undefined;
  if (!/^(?:all|[1-9]\d{0,3})$/.test(text)) problems.add(`--cores ${text}`, 'must be a whole number, or all');
  return text === 'all' ? 0 : Number(text);
}

function tags(text: string | undefined, problems: Problems): TagList | undefined {
  if (text === undefined) return undefined;
  const words = text.split(',').filter((word) => word !== '');
  for (const word of words) problems.take(`--tags ${word}`, parseTag(word));
  return TagList.fromPartial({ tags: words });
}

function parseOptions(options: Options, problems: Problems): SetOptions {
  const { hostname, onBoot, description } = options;
  if (hostname !== undefined) problems.take(`--hostname ${hostname}`, parseGuestName(hostname));
  const wish = SetOptions.fromPartial({
    memoryBytes: bytes('memory', options.memory, problems),
    swapBytes: bytes('swap', options.swap, problems),
    cores: cores(options.cores, problems),
    name: hostname,
    onBoot: onBoot === undefined ? undefined : onBoot === 'yes',
    tags: tags(options.tags, problems),
    description,
  });
  if (Object.values(wish).every((value) => value === undefined)) problems.add('options', 'give at least one to set');
  return wish;
}

export const containerSet = command({
  path: 'container set',
  summary: 'Set memory, cores, host name, tags and the like of a container',
  description:
    'What is not named stays as it is. What a running container gets only at its next start is named when it is done.',
  args: GUEST_ARGS,
  options: { ...SET_OPTIONS, node: NODE_OPTION, ...CHANGE_OPTIONS },
  examples: [
    'pxmgr container set web --memory 1GiB --cores 2',
    'pxmgr container set 100 --onboot yes --tags shop,front',
  ],
  run: async (context, input) => {
    const { options } = input;
    const problems = new Problems();
    const value = parseOptions(options, problems);
    problems.refuse();
    const guest = { key: argument(input, 0), node: options.node ?? '' };
    return await carryOut(context, {
      flags: options,
      makePlan: changePlanner(context, options, { guest, change: { $case: 'setOptions', value } }),
      done: guestLine('is set'),
    });
  },
});
