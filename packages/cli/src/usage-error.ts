/** What is wrong with an argv, in our words and with the help page of the command that was meant. */
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import type { CommanderError } from 'commander';
import type { ArgumentDefinition, Command, OptionDefinition } from './command.ts';
import { GLOBAL_OPTIONS } from './global-options.ts';

interface Known {
  readonly name: string;
  readonly commands: readonly Command[];
}

/** The longest beginning of argv that is a command or a noun: "container list". */
function pathOf(commands: readonly Command[], argv: readonly string[]): string {
  let path = '';
  for (const word of argv) {
    if (word === '--') break;
    if (word.startsWith('-')) continue;
    const longer = path === '' ? word : `${path} ${word}`;
    if (commands.some((command) => command.path === longer || command.path.startsWith(`${longer} `))) path = longer;
  }
  return path;
}

function optionIn(message: string, command: Command | undefined): OptionDefinition | undefined {
  const flag = /--([a-z][a-z-]*)/.exec(message)?.[1];
  return [...Object.values(command?.options ?? {}), ...Object.values(GLOBAL_OPTIONS)].find(
    (option) => option.flag === flag,
  );
}

function count(args: readonly ArgumentDefinition[]): string {
  return args.length === 0 ? 'none' : `${args.length} (${args.map((argument) => argument.name).join(' ')})`;
}

/** "unknown command 'lst'", "(Did you mean list?)" */
function inOneLine(message: string): string {
  const [first = '', second = ''] = message
    .replace(/^error: /, '')
    .replaceAll("'", '"')
    .split('\n');
  return second === '' ? first : `${first}, ${second.replace(/^\(Did/, 'did').replace(/\)$/, '')}`;
}

/** commander stops at the first argument that is missing: it and the required ones after it are named. */
function missing(message: string, args: readonly ArgumentDefinition[]): string {
  const from = args.findIndex((argument) => message.includes(`'${argument.name}'`));
  const words = args.slice(Math.max(from, 0)).filter((argument) => argument.optional !== true);
  return words.map(({ name, help }) => `${name} (${help})`).join(' and ');
}

function problemText(error: CommanderError, path: string, command: Command | undefined): string {
  const { code, message } = error;
  const args = command?.args ?? [];
  if (code === 'commander.excessArguments') return `too many arguments: "${path}" takes ${count(args)}`;
  if (code === 'commander.missingArgument') return `"${path}" needs ${missing(message, args)}`;
  return optionText(error, optionIn(message, command)) ?? inOneLine(message);
}

function optionText({ code, message }: CommanderError, option: OptionDefinition | undefined): string | undefined {
  if (option === undefined) return undefined;
  const { flag, help, value = 'VALUE', choices = [] } = option;
  if (code === 'commander.optionMissingArgument') return `--${flag} needs a value: ${value} (${help})`;
  if (code !== 'commander.invalidArgument') return undefined;
  return `--${flag} ${/argument '(.*)' is invalid/s.exec(message)?.[1] ?? ''}: is not one of ${choices.join(', ')}`;
}

export function usageError(error: CommanderError, known: Known, argv: readonly string[]): PxmError {
  const path = pathOf(known.commands, argv);
  const command = known.commands.find((candidate) => candidate.path === path);
  const called = path === '' ? known.name : `${known.name} ${path}`;
  const fields = { problem: problemText(error, path, command), command: called };
  if (error.code === 'commander.unknownOption' && command?.passThrough === true && !argv.includes('--')) {
    const names = command.args.map((argument) => argument.name);
    const hint = `write "--" before options that are not ours: ${called} ${names.slice(0, -1).join(' ')} -- ${names.at(-1) ?? ''} ...`;
    return new PxmError('PXM_USAGE', fields, { hint });
  }
  return new PxmError('PXM_USAGE', fields);
}
