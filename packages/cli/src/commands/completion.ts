/**
 * Shell completion: a short script for each shell that asks this program. Names of nodes, containers, images and
 * operations are live, with a short deadline; without an answer there are simply none.
 */
import { FleetServiceClient, OperationServiceClient } from '@pxmgr/contract/controller';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { controllerOf } from '../client.ts';
import {
  type ArgumentDefinition,
  argument,
  type Command,
  type Completer,
  command,
  type OptionDefinition,
} from '../command.ts';
import type { Context } from '../context.ts';
import { GLOBAL_OPTIONS } from '../global-options.ts';
import { text } from '../result.ts';
import { fetchInventory } from './inventory.ts';

/** Nobody waits longer for a Tab. */
const PATIENCE_MS = 1500;
const SCRIPTS: Readonly<Record<string, string>> = {
  // Words are split at blanks only: bash itself also splits at ":" and "=", of which references and options are full.
  // What bash has split off already must not come back in the answer.
  bash: [
    '_pxmgr() {',
    '  local line=${COMP_LINE:0:COMP_POINT} word before found',
    '  local -a words',
    '  read -ra words <<<"$line"',
    "  [[ $line == *[[:space:]] ]] && words+=('')",
    '  word=${words[-1]}',
    '  before=${word%"${word##*[:=]}"}',
    '  COMPREPLY=()',
    '  while IFS= read -r found; do',
    '    COMPREPLY+=("${found#"$before"}")',
    '  done < <("${words[0]}" complete -- "${words[@]:1}" 2>/dev/null)',
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
  const { found } = await fetchInventory(context, 'container');
  return found.flatMap(({ document }) => [String(document.vmid), document.name]);
}

async function images(context: Context): Promise<string[]> {
  const { found } = await fetchInventory(context, 'image');
  return found.flatMap(({ document }) => document.references);
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
  readonly command: Command;
  /** Words after the command's path, without the one being typed. */
  readonly rest: readonly string[];
}

function locate(commands: readonly Command[], words: readonly string[]): Position | undefined {
  for (let count = Math.min(3, words.length); count > 0; count -= 1) {
    const path = words.slice(0, count).join(' ');
    const found = commands.find((candidate) => candidate.path === path);
    if (found !== undefined) return { command: found, rest: words.slice(count) };
  }
  return undefined;
}

function nextWords(commands: readonly Command[], words: readonly string[]): string[] {
  const prefix = words.length === 0 ? '' : `${words.join(' ')} `;
  return commands
    .filter((candidate) => candidate.path.startsWith(prefix) && !candidate.hidden)
    .map((candidate) => candidate.path.slice(prefix.length).split(' ')[0] ?? '');
}

function optionWords(options: readonly OptionDefinition[]): string[] {
  return [...options.map((option) => `--${option.flag}`), '--help'];
}

function takesValue(options: readonly OptionDefinition[], word: string): OptionDefinition | undefined {
  return options.find(
    (option) =>
      option.kind !== 'flag' &&
      (word === `--${option.flag}` || (option.short !== undefined && word === `-${option.short}`)),
  );
}

/** How many arguments stand before the word being typed; values of options are none. */
function argumentsBefore(options: readonly OptionDefinition[], rest: readonly string[]): number {
  return rest.filter((word, index) => {
    const previous = rest[index - 1];
    const isValue = previous !== undefined && takesValue(options, previous) !== undefined;
    return !word.startsWith('-') && !isValue;
  }).length;
}

/** Values of an option or argument: the few right words, or what the fleet has. */
async function values(
  context: Context,
  wanted: OptionDefinition | ArgumentDefinition | undefined,
): Promise<readonly string[]> {
  return wanted?.choices ?? (await live(context, wanted?.complete ?? 'none'));
}

async function candidates(
  context: Context,
  commands: readonly Command[],
  words: readonly string[],
): Promise<readonly string[]> {
  const before = words.slice(0, -1);
  const isOption = words.at(-1)?.startsWith('-') === true;
  const position = locate(commands, before);
  const options = [
    ...Object.values(position?.command.options ?? {}),
    ...Object.values<OptionDefinition>(GLOBAL_OPTIONS),
  ];
  const open = takesValue(options, before.at(-1) ?? '');
  if (open !== undefined && !(open.kind === 'selector' && isOption)) return await values(context, open);
  if (isOption) return optionWords(options);
  if (position === undefined) return nextWords(commands, before);
  const { args } = position.command;
  return await values(context, args[Math.min(argumentsBefore(options, position.rest), args.length - 1)]);
}

/** Both commands need the list of all commands, which holds them: it is asked for late. */
export function completionCommands(commands: () => readonly Command[]): Command[] {
  const script = command({
    path: 'completion',
    summary: 'Print the completion script of a shell',
    args: [{ name: 'SHELL', help: 'bash, zsh or fish', choices: Object.keys(SCRIPTS) }],
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
    hidden: true,
    run: async (context, input) => {
      const interrupted = AbortSignal.any([context.interrupted, AbortSignal.timeout(PATIENCE_MS)]);
      const found = await candidates({ ...context, interrupted }, commands(), input.args).catch(() => []);
      const typed = input.args.at(-1) ?? '';
      return text([...new Set(found)].filter((word) => word.startsWith(typed)).join('\n'));
    },
  });
  return [script, complete];
}
