/** `pvesh get|ls` for the paths our programs ask (pve-manager PVE/CLI/pvesh.pm); everything else is "no handler". */
import { answerOf } from '../api/answers.ts';
import { type ApiMethod, callMethod, findMethod, type HttpVerb } from '../api/methods.ts';
import { text, type Verb, type VerbHandler } from '../pct/context.ts';
import { FieldError, type Parameters, parseBoolean } from '../schema/property.ts';
import { propertyOf } from '../schema/schema-data.ts';
import { type Tool, ToolError } from '../tool.ts';
import { runCommands } from './run-commands.ts';

const OWN_OPTIONS = new Set(['output-format', 'human-readable', 'noborder', 'noheader', 'noproxy', 'quiet']);

/** JSON with sorted keys on one line, as upstream prints it. */
export function canonicalJson(value: unknown, indent?: number): string {
  const sorted = (v: unknown): unknown => {
    if (Array.isArray(v)) return v.map(sorted);
    if (v === null || typeof v !== 'object') return v;
    return Object.fromEntries(
      Object.entries(v)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([key, inner]) => [key, sorted(inner)]),
    );
  };
  return JSON.stringify(sorted(value), undefined, indent);
}

const get: VerbHandler = async (verb: Verb) => {
  const path = text(verb, 'api_path') ?? '';
  const params = new Map(
    Object.entries(verb.call.params)
      .filter(([key]) => key !== 'api_path' && !OWN_OPTIONS.has(key))
      .map(([key, value]) => [key, String(value)]),
  );
  const answer = await answerOf(verb.host, path, { params, warn: verb.io.err, hasRights: true });
  if (answer === undefined) throw new ToolError(`No 'get' handler defined for '${path}'\n`, 1);
  if (text(verb, 'quiet') === '1') return 0;
  const format = text(verb, 'output-format') ?? 'text';
  if (format === 'json-pretty') verb.io.out(`${canonicalJson(answer, 3)}\n`);
  else if (format === 'yaml') verb.io.out(`--- ${typeof answer === 'string' ? answer : canonicalJson(answer)}\n`);
  else if (format === 'json') verb.io.out(`${canonicalJson(answer)}\n`);
  else verb.io.out(`${typeof answer === 'string' ? answer : canonicalJson(answer)}\n`);
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
