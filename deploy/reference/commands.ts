import type { ArgumentDefinition, Command, OptionDefinition, OptionTable } from '@pxmgr/cli/command';
import { COMMANDS } from '@pxmgr/cli/commands/all';
import { GLOBAL_OPTIONS } from '@pxmgr/cli/global-options';
import { cell, type Page, page, table } from './page.ts';

function argumentText(argument: ArgumentDefinition): string {
  const name = `${argument.name.toUpperCase()}${argument.variadic === true ? '...' : ''}`;
  return argument.optional === true ? `[${name}]` : name;
}

function optionText(option: OptionDefinition): string {
  const value = option.kind === 'flag' ? '' : ` ${option.value ?? 'VALUE'}`;
  return `\`${option.short === undefined ? '' : `-${option.short}, `}--${option.flag}${value}\``;
}

function meaning(option: OptionDefinition): string {
  return option.choices === undefined ? option.help : `${option.help}: ${option.choices.join(', ')}`;
}

function optionTable(options: OptionTable): string {
  return table(
    ['Option', 'Meaning'],
    Object.values(options).map((option) => [optionText(option), cell(meaning(option))]),
  );
}

function section(command: Command): string {
  const usage = ['pxmgr', command.path, ...command.args.map(argumentText)].join(' ');
  const options = Object.keys(command.options).length === 0 ? '' : optionTable(command.options);
  const args =
    command.args.length === 0 ? '' : command.args.map((one) => `- \`${argumentText(one)}\`: ${one.help}`).join('\n');
  const examples = command.examples.length === 0 ? '' : `\`\`\`sh\n${command.examples.join('\n')}\n\`\`\``;
  return [
    `## pxmgr ${command.path}`,
    `${command.summary}.`,
    `\`${usage}\``,
    command.description ?? '',
    args,
    options,
    examples,
  ]
    .filter((part) => part !== '')
    .join('\n\n');
}

/** docs/reference/commands.md from the command list of the CLI, in the order of its help page. */
export function renderCommands(): Page {
  const body = [
    'Data goes to stdout, everything else to stderr. Exit codes: [error codes](error-codes.md).',
    '## Options of every command',
    optionTable(GLOBAL_OPTIONS),
    ...COMMANDS.map(section),
  ].join('\n\n');
  return page('docs/reference/commands.md', 'Commands', body);
}
