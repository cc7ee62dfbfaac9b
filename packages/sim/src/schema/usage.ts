/** Usage lines and the overview of a tool's commands (pve-common src/PVE/CLIHandler.pm print_usage_short). */
import { type CommandSchema, type ToolSchema, toolSchema } from './schema-data.ts';

const INDENT = ' '.repeat(7);
/** Every tool has it besides its own commands. */
export const HELP: CommandSchema = {
  class: 'PVE::CLIHandler',
  positional: ['extra-args'],
  params: { 'extra-args': { type: 'array' }, verbose: { type: 'boolean', optional: 1 } },
};

export function usageLine(prefix: string, schema: CommandSchema): string {
  const params = schema.params ?? {};
  const positional = schema.positional ?? [];
  const words = positional.map((name) =>
    params[name]?.optional === 1 || name === 'extra-args' ? `[<${name}>]` : `<${name}>`,
  );
  const options = Object.keys(params)
    .filter((name) => !positional.includes(name) && schema.fixed?.[name] === undefined)
    .sort();
  const needed = options
    .filter((name) => params[name]?.optional !== 1)
    .map((name) => ` --${name} <${params[name]?.type ?? 'string'}>`);
  return `${prefix} ${words.join(' ')}${needed.join('')}${options.length > needed.length ? ' [OPTIONS]' : ''}${schema.isFormatted === 1 ? ' [FORMAT_OPTIONS]' : ''}\n`;
}

/** All commands grouped by the API class behind them; of one sub-command group when `path` names it. */
export function overview(tool: string, path: readonly string[] = []): string {
  let commands: ToolSchema = { ...toolSchema(tool), help: HELP };
  for (const name of path) commands = commands[name]?.sub ?? {};
  const separator = path.length === 0 ? '\n' : '';
  return `USAGE: ${tool} <COMMAND> [ARGS] [OPTIONS]\n\n${lines([tool, ...path].join(' '), commands, separator)}`;
}

/** Usage of the commands that the words name, in the order of their names; undefined when there is none. */
export function helpLines(tool: string, words: readonly string[]): string | undefined {
  let commands: ToolSchema = { ...toolSchema(tool), help: HELP };
  for (const [index, word] of words.entries()) {
    const schema = Object.hasOwn(commands, word) ? commands[word] : undefined;
    if (schema === undefined) return undefined;
    if (schema.sub === undefined) return INDENT + usageLine([tool, ...words.slice(0, index + 1)].join(' '), schema);
    commands = schema.sub;
  }
  const byName = Object.entries(commands).sort(([a], [b]) => (a < b ? -1 : 1));
  return byName.map(([name, schema]) => linesOf([tool, ...words, name].join(' '), schema)).join('');
}

function linesOf(prefix: string, schema: CommandSchema): string {
  if (schema.alias !== undefined) return '';
  if (schema.sub === undefined) return INDENT + usageLine(prefix, schema);
  const byName = Object.entries(schema.sub).sort(([a], [b]) => (a < b ? -1 : 1));
  return byName.map(([name, inner]) => linesOf(`${prefix} ${name}`, inner)).join('');
}

function lines(prefix: string, commands: ToolSchema, separator: string): string {
  let text = '';
  let lastClass: string | undefined;
  for (const name of Object.keys(commands).sort((a, b) => order(commands, a, b))) {
    const schema = commands[name];
    if (schema === undefined || schema.alias !== undefined) continue;
    if (schema.sub !== undefined) {
      text += `${lines(`${prefix} ${name}`, schema.sub, '')}${separator}`;
      continue;
    }
    if (lastClass !== undefined && lastClass !== schema.class) text += separator;
    lastClass = schema.class;
    text += INDENT + usageLine(`${prefix} ${name}`, schema);
  }
  return text;
}

/** Groups of sub-commands first, then by class, then by name. */
function order(commands: ToolSchema, a: string, b: string): number {
  const key = (name: string): string => `${commands[name]?.class ?? ''}\0${name}`;
  const [left, right] = [key(a), key(b)];
  return left < right ? -1 : left > right ? 1 : 0;
}
