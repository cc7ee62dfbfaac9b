/**
 * Shell completion: a short script for each shell that asks this program. Names of nodes, containers, images and
 * operations are live, with a short deadline; without an answer there are simply none.
 */
import { FleetServiceClient, OperationServiceClient } from '@pxmgr/contract/controller';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { controllerOf } from '../client.ts';
import { argument, type Command, type Completer, command } from '../command.ts';
import type { Context } from '../context.ts';
import { text } from '../result.ts';
import { fetchInventory } from './fetch.ts';

const SCRIPTS: Readonly<Record<string, string>> = {
  bash: [
    '_pxmgr() {',
    "  local IFS=$'\\n'",
    '  COMPREPLY=($(pxmgr complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))',
    '}',
    'complete -o default -F _pxmgr pxmgr',
  ].join('\n'),
  zsh: [
    '#compdef pxmgr',
    '_pxmgr() {',
    '  local -a found',
    '  found=("${(@f)$(pxmgr complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")',
    '  compadd -- $found',
    '}',
    'compdef _pxmgr pxmgr',
  ].join('\n'),
  fish: [
    'function __pxmgr_complete',
    '  set -l words (commandline -opc) (commandline -ct)',
    '  pxmgr complete -- $words[2..-1] 2>/dev/null',
    'end',
    "complete -c pxmgr -f -a '(__pxmgr_complete)'",
  ].join('\n'),
};

async function containers(context: Context): Promise<string[]> {
  const { objects } = await fetchInventory(context, 'container', '');
  return objects.flatMap(({ document }) =>
    document?.document?.$case === 'container'
      ? [String(document.document.value.vmid), document.document.value.name]
      : [],
  );
}

async function images(context: Context): Promise<string[]> {
  const { objects } = await fetchInventory(context, 'image', '');
  return objects.flatMap(({ document }) =>
    document?.document?.$case === 'image' ? document.document.value.references : [],
  );
}

async function live(context: Context, completer: Completer): Promise<string[]> {
  switch (completer) {
    case 'node':
      return (await controllerOf(context).ask(FleetServiceClient, 'listNodes', {})).nodes.map((node) => node.name);
    case 'container':
      return await containers(context);
    case 'image':
      return await images(context);
    case 'operation':
      return (
        await controllerOf(context).ask(OperationServiceClient, 'listOperations', { activeOnly: false, limit: 20 })
      ).operations.map((operation) => operation.id);
    case 'file':
    case 'none':
      return [];
  }
}

interface Position {
  readonly command: Command | undefined;
  /** Words after the command's path, without the one being typed. */
  readonly rest: readonly string[];
}

function locate(commands: readonly Command[], words: readonly string[]): Position {
  for (let count = Math.min(3, words.length); count > 0; count -= 1) {
    const path = words.slice(0, count).join(' ');
    const found = commands.find((candidate) => candidate.path === path);
    if (found !== undefined) return { command: found, rest: words.slice(count) };
  }
  return { command: undefined, rest: words };
}

function nextWords(commands: readonly Command[], words: readonly string[]): string[] {
  const prefix = words.length === 0 ? '' : `${words.join(' ')} `;
  return [
    ...new Set(
      commands
        .filter((candidate) => candidate.path.startsWith(prefix))
        .map((candidate) => candidate.path.slice(prefix.length).split(' ')[0] ?? ''),
    ),
  ];
}

async function candidates(context: Context, commands: readonly Command[], words: readonly string[]): Promise<string[]> {
  const typed = words.at(-1) ?? '';
  const { command: found, rest } = locate(commands, words.slice(0, -1));
  if (found === undefined) return nextWords(commands, words.slice(0, -1));
  const options = Object.values(found.options);
  const previous = options.find((option) => `--${option.flag}` === rest.at(-1) && option.kind !== 'flag');
  if (previous !== undefined)
    return previous.choices === undefined ? await live(context, previous.complete ?? 'none') : [...previous.choices];
  if (typed.startsWith('-')) return options.map((option) => `--${option.flag}`);
  const position = rest.filter((word) => !word.startsWith('-')).length;
  return await live(context, found.args[Math.min(position, found.args.length - 1)]?.complete ?? 'none');
}

/** Both commands need the list of all commands, which holds them: it is asked for late. */
export function completionCommands(commands: () => readonly Command[]): Command[] {
  const script = command({
    path: 'completion',
    summary: 'Print the completion script of a shell',
    args: [{ name: 'SHELL', help: 'bash, zsh or fish' }],
    examples: ['pxmgr completion bash > /etc/bash_completion.d/pxmgr'],
    run: async (_context, input) => {
      const shell = argument(input, 0);
      const body = Object.hasOwn(SCRIPTS, shell) ? SCRIPTS[shell] : undefined;
      if (body === undefined)
        throw new PxmError('PXM_USAGE', {
          problem: `"${shell}" is not one of ${Object.keys(SCRIPTS).join(', ')}`,
          command: 'pxmgr completion',
        });
      return await Promise.resolve(text(body));
    },
  });
  const complete = command({
    path: 'complete',
    summary: 'Print what could follow the given words (the completion scripts call it)',
    args: [{ name: 'WORDS', help: 'words after pxmgr, the last one incomplete', variadic: true, optional: true }],
    passThrough: true,
    run: async (context, input) => {
      const found = await candidates(context, commands(), input.args).catch(() => []);
      const typed = input.args.at(-1) ?? '';
      return text(found.filter((word) => word.startsWith(typed)).join('\n'));
    },
  });
  return [script, complete];
}
