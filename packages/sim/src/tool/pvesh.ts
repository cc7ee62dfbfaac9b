/** `pvesh get|ls|usage|create|set|delete` (pve-manager PVE/CLI/pvesh.pm): each path brings options of its own. */
import { answerOf } from '../api/answers.ts';
import { type ApiMethod, callMethod, findMethod, type HttpVerb } from '../api/methods.ts';
import { capabilities, findPath, readMethodOf } from '../api/tree.ts';
import { errorText, type Tool, ToolError } from '../call/tool.ts';
import { text, type Verb, type VerbHandler } from '../pct/context.ts';
import type { Parameters, Properties } from '../schema/property.ts';
import { type ToolSchema, toolSchema } from '../schema/schema-data.ts';
import { usageLine } from '../schema/usage.ts';
import { printAnswer } from './printed-answer.ts';
import { runCommands } from './run-commands.ts';

const HTTP_VERBS: Readonly<Record<string, HttpVerb>> = { get: 'GET', set: 'PUT', create: 'POST', delete: 'DELETE' };
const OWN_PARAMS = new Set(['api_path', 'noproxy', 'output-format', 'human-readable', 'noborder', 'noheader', 'quiet']);

function pathOf(verb: Verb): string {
  return text(verb, 'api_path') ?? '';
}

function pathParams(verb: Verb): Parameters {
  return Object.fromEntries(Object.entries(verb.call.params).filter(([key]) => !OWN_PARAMS.has(key)));
}

async function answered(verb: Verb): Promise<unknown> {
  const path = pathOf(verb);
  const params = new Map(Object.entries(pathParams(verb)).map(([key, value]) => [key, String(value)]));
  const answer = await answerOf(verb.host, path, { params, warn: verb.io.err, hasRights: true });
  if (answer === undefined) throw new ToolError(`${path} is not part of this stand-in\n`, 1);
  return answer;
}

const get: VerbHandler = async (verb) => {
  printAnswer(verb, await answered(verb), { shape: readMethodOf(pathOf(verb))?.returns });
  return 0;
};

const ls: VerbHandler = async (verb) => {
  const path = pathOf(verb);
  if (findPath(path)?.verbs.includes('GET') !== true) throw new ToolError(`no such resource '${path}'\n`);
  const child = readMethodOf(path)?.returns?.child;
  if (child === undefined) throw new ToolError(`resource '${path}' does not define child links\n`);
  const names = ((await answered(verb)) as Record<string, unknown>[]).map((row) => String(row[child]));
  const rows = names.sort().map((name) => ({ capabilities: capabilities(`${path}/${name}`), name }));
  const params = { noborder: 1, noheader: 1, ...verb.call.params };
  const columns = [{ key: 'capabilities' }, { key: 'name' }];
  printAnswer({ ...verb, call: { ...verb.call, params } }, rows, { columns, sortBy: 'name' });
  return 0;
};

/** Exits 0 when a task was started, whatever became of it. */
async function change(verb: Verb): Promise<number> {
  const method = findMethod(HTTP_VERBS[verb.call.command] ?? 'POST', pathOf(verb));
  if (method === undefined) throw new ToolError(`${pathOf(verb)} is not part of this stand-in\n`, 1);
  const caller = { tool: verb.tool, io: verb.io, usage: verb.call.usage };
  const upid = await callMethod(verb.host, method, { params: pathParams(verb), caller });
  if (upid !== undefined) printAnswer(verb, upid);
  return 0;
}

/** Without the options' descriptions, which are upstream's prose. */
const usage: VerbHandler = async (verb) => {
  const path = pathOf(verb);
  const asked = text(verb, 'command');
  const commands = Object.keys(HTTP_VERBS)
    .filter((name) => asked === undefined || name === asked)
    .sort((a, b) => ORDER.indexOf(a) - ORDER.indexOf(b))
    .filter((name) => findPath(path)?.verbs.includes(HTTP_VERBS[name] ?? '') === true);
  if (commands.length === 0)
    throw new ToolError(asked === undefined ? `no such resource '${path}'\n` : `no '${asked}' handler for '${path}'\n`);
  for (const name of commands) {
    const params = optionsOf(name, path);
    if (params === undefined || ['verbose', 'returns'].some((key) => text(verb, key) === '1'))
      throw new ToolError(`the usage of ${path} is not part of this stand-in\n`, 1);
    verb.io.out(`USAGE: ${usageLine(`pvesh ${name} ${path}`, { params })}`);
  }
  return 0;
};
const ORDER = ['get', 'set', 'create', 'delete'];

/** What a method takes beside the parameters of its path; undefined: not in the data. */
function optionsOf(command: string, path: string): Properties | undefined {
  const http = HTTP_VERBS[command];
  const method: ApiMethod | undefined = http === undefined || http === 'GET' ? undefined : findMethod(http, path);
  const known = http === 'GET' ? readMethodOf(path)?.params : method?.schema.params;
  const given = new Set([...Object.keys(findPath(path)?.given ?? {}), ...Object.keys(method?.fixed ?? {})]);
  return known === undefined
    ? undefined
    : Object.fromEntries(Object.entries(known).filter(([name]) => !given.has(name)));
}

/** The tool's own schema with the options of the path. */
function commandsWith(command: string, path: string | undefined): ToolSchema {
  const own = toolSchema('pvesh');
  const schema = own[command];
  const more = path === undefined ? undefined : optionsOf(command, path);
  if (schema === undefined || more === undefined) return own;
  return { ...own, [command]: { ...schema, params: { ...more, ...schema.params } } };
}

/** Looked for before anything else; the path has to be the first word behind the command. */
function refuseUnknownPath(command: string, path: string | undefined): void {
  const http = HTTP_VERBS[command];
  if (http === undefined || path === undefined || path === '') return;
  if (findPath(path)?.verbs.includes(http) !== true)
    throw new ToolError(`No '${command}' handler defined for '${path}'\n`, 1);
  if (optionsOf(command, path) === undefined) throw new ToolError(`${path} is not part of this stand-in\n`, 1);
}

/** Options that stand before the command; what is left, and whether nothing is to be printed. */
function leadingOptions(argv: readonly string[]): { words: string[]; isQuiet: boolean } {
  const count = argv.findIndex((word) => word !== '--noproxy' && word !== '--nooutput');
  const leading = count < 0 ? argv : argv.slice(0, count);
  return { words: argv.slice(leading.length), isQuiet: leading.includes('--nooutput') };
}

export const pvesh: Tool = async (host, argv, io) => {
  const { words, isQuiet } = leadingOptions(argv);
  const [command = '', path] = words;
  const quieted =
    (handler: VerbHandler): VerbHandler =>
    (verb) =>
      handler(isQuiet ? { ...verb, call: { ...verb.call, params: { ...verb.call.params, quiet: 1 } } } : verb);
  try {
    refuseUnknownPath(command, path);
  } catch (err) {
    io.err(`${errorText(err)}\n`);
    return 1;
  }
  return runCommands({
    tool: 'pvesh',
    host,
    argv: words,
    io,
    commands: commandsWith(command, path),
    verbs: {
      get: async () => quieted(get),
      ls: async () => ls,
      usage: async () => usage,
      create: async () => quieted(change),
      set: async () => quieted(change),
      delete: async () => quieted(change),
    },
  });
};
