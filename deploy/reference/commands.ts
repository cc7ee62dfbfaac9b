import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { ArgumentDefinition, Command, OptionDefinition, OptionTable } from '@pxmgr/cli/command';
import { cell, type Page, page, table } from './page.ts';

interface CommandTable {
  readonly COMMANDS: readonly Command[];
}

interface GlobalTable {
  readonly GLOBAL_OPTIONS: OptionTable;
}

function argumentText(argument: ArgumentDefinition): string {
  const name = `${argument.name.toUpperCase()}${argument.variadic === true ? '...' : ''}`;
  return argument.optional === true ? `[${name}]` : name;
}

function optionText(option: OptionDefinition): string {
  const value = option.kind === 'flag' ? '' : ` ${option.value ?? 'VALUE'}`;
  return `\`${option.short === undefined ? '' : `-${option.short}, `}--${option.flag}${value}\``;
}

function optionTable(options: OptionTable): string {
  return table(
    ['Option', 'Meaning'],
    Object.values(options).map((option) => [optionText(option), cell(option.help)]),
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
export async function renderCommands(root: string): Promise<Page[]> {
  const list = join(root, 'packages/cli/src/commands/all.ts');
  const globals = join(root, 'packages/cli/src/global-options.ts');
  if (!existsSync(list) || !existsSync(globals)) return [];
  const { COMMANDS } = (await import(pathToFileURL(list).href)) as CommandTable;
  const { GLOBAL_OPTIONS } = (await import(pathToFileURL(globals).href)) as GlobalTable;
  const body = [
    'Data goes to stdout, everything else to stderr. Exit codes: [error codes](error-codes.md).',
    '## Options of every command',
    optionTable(GLOBAL_OPTIONS),
    ...COMMANDS.map(section),
  ].join('\n\n');
  return [page('docs/reference/commands.md', 'Commands', body)];
}
