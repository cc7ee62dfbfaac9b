/** `pvesh get|ls` for the paths our programs ask (pve-manager PVE/CLI/pvesh.pm); everything else is "no handler". */
import { answerOf } from '../api/answers.ts';
import { type ApiMethod, callMethod, findMethod, type HttpVerb } from '../api/methods.ts';
import { childNames, isFolder, listedLine, methodsOf } from '../api/tree.ts';
import { type Tool, ToolError } from '../call/tool.ts';
import { text, type Verb, type VerbHandler } from '../pct/context.ts';
import { FieldError, type Parameters, parseBoolean } from '../schema/property.ts';
import { propertyOf } from '../schema/schema-data.ts';
import { printAnswer } from './printed-answer.ts';
import { runCommands } from './run-commands.ts';

const OWN_OPTIONS = new Set(['output-format', 'human-readable', 'noborder', 'noheader', 'noproxy', 'quiet']);

function ownParams(verb: Verb): ReadonlyMap<string, string> {
  return new Map(
    Object.entries(verb.call.params)
      .filter(([key]) => key !== 'api_path' && !OWN_OPTIONS.has(key))
      .map(([key, value]) => [key, String(value)]),
  );
}

async function answered(verb: Verb, command: string): Promise<unknown> {
  const path = text(verb, 'api_path') ?? '';
  try {
    const asked = { params: ownParams(verb), warn: verb.io.err, hasRights: true };
    const answer = await answerOf(verb.host, path, asked);
    if (answer !== undefined) return answer;
  } catch (err) {
    if (err instanceof FieldError)
      throw new ToolError(`${err.message}pvesh ${command} <api_path> [OPTIONS] [FORMAT_OPTIONS]\n`);
    throw err;
  }
  if (methodsOf(path)?.includes('GET') === true) throw new ToolError(`${path} is not part of this stand-in\n`, 1);
  throw new ToolError(`No '${command}' handler defined for '${path}'\n`, 1);
}

const get: VerbHandler = async (verb) => {
  printAnswer(verb, await answered(verb, 'get'));
  return 0;
};

const ls: VerbHandler = async (verb) => {
  const path = text(verb, 'api_path') ?? '';
  const rows = await answered(verb, 'get');
  if (!isFolder(path) || !Array.isArray(rows))
    throw new ToolError(`resource '${path}' does not define child links\n`, 1);
  for (const name of childNames(rows)) verb.io.out(listedLine(path, name));
  return 0;
};

/** Exits 0 when a task was started, whatever became of it. */
async function change(verb: Verb, http: HttpVerb, given: Readonly<Record<string, string>>): Promise<number> {
  const path = text(verb, 'api_path') ?? '';
  const method = findMethod(http, path);
  if (method === undefined) throw new ToolError(`No '${verb.call.command}' handler defined for '${path}'\n`, 1);
  const caller = { tool: verb.tool, io: verb.io, usage: usageOf(verb, method) };
  try {
    const upid = await callMethod(verb.host, method, { params: worded(method, given), caller });
    if (upid === undefined || text(verb, 'quiet') === '1') return 0;
    verb.io.out(/^json/.test(text(verb, 'output-format') ?? '') ? `${JSON.stringify(upid)}\n` : `${upid}\n`);
    return 0;
  } catch (err) {
    if (err instanceof FieldError) throw new ToolError(`${err.message}${caller.usage}`);
    throw err;
  }
}

/** Parameters that the method needs stand in the usage line. */
function usageOf(verb: Verb, method: ApiMethod): string {
  const needed = Object.entries(method.schema.params ?? {})
    .filter(([name, property]) => property.optional !== 1 && name !== 'node' && method.fixed[name] === undefined)
    .map(([name, property]) => ` --${name} <${property.type ?? 'string'}>`)
    .sort();
  return `pvesh ${verb.call.command} <api_path>${needed.join('')} [OPTIONS] [FORMAT_OPTIONS]\n`;
}

/** Booleans by their words, as on every command line. */
function worded(method: ApiMethod, given: Readonly<Record<string, string>>): Parameters {
  const params = method.schema.params ?? {};
  return Object.fromEntries(
    Object.entries(given).map(([key, value]) => [
      key,
      propertyOf(params, key)?.type === 'boolean' ? (parseBoolean(value) ?? value) : value,
    ]),
  );
}

export const pvesh: Tool = async (host, argv, io) => {
  // The parameters of the path itself are options here, so they are taken out before the tool's own are read.
  const { own, path } = splitOptions(argv);
  return runCommands({
    tool: 'pvesh',
    host,
    argv: own,
    io,
    verbs: {
      get: async () => (verb) => get({ ...verb, call: { ...verb.call, params: { ...verb.call.params, ...path } } }),
      ls: async () => ls,
      create: async () => (verb) => change(verb, 'POST', path),
      set: async () => (verb) => change(verb, 'PUT', path),
      delete: async () => (verb) => change(verb, 'DELETE', path),
    },
  });
};

function splitOptions(argv: readonly string[]): { own: string[]; path: Record<string, string> } {
  const own: string[] = [];
  const path: Record<string, string> = {};
  const rest = [...argv];
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    const name = /^--?([A-Za-z0-9-]+)/.exec(word)?.[1];
    if (name === undefined || OWN_OPTIONS.has(name)) own.push(word);
    else path[name] = /=(.*)$/s.exec(word)?.[1] ?? takeValue(rest);
  }
  return { own, path };
}

/** The next word when it is no option; a bare option is a flag. */
function takeValue(rest: string[]): string {
  return rest[0] === undefined || rest[0].startsWith('-') ? '1' : (rest.shift() ?? '');
}
