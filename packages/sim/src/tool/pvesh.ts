/** `pvesh get|ls` for the paths our programs ask (pve-manager PVE/CLI/pvesh.pm); everything else is "no handler". */
import { answerOf } from '../api/answers.ts';
import { text, type Verb, type VerbHandler } from '../pct/context.ts';
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
  const answer = await answerOf(verb.host, path, params);
  if (answer === undefined) throw new ToolError(`No 'get' handler defined for '${path}'\n`, 1);
  if (text(verb, 'quiet') === '1') return 0;
  const format = text(verb, 'output-format') ?? 'text';
  if (format === 'json-pretty') verb.io.out(`${canonicalJson(answer, 3)}\n`);
  else if (format === 'yaml') verb.io.out(`--- ${typeof answer === 'string' ? answer : canonicalJson(answer)}\n`);
  else if (format === 'json') verb.io.out(`${canonicalJson(answer)}\n`);
  else verb.io.out(`${typeof answer === 'string' ? answer : canonicalJson(answer)}\n`);
  return 0;
};

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
    },
  });
};

function splitOptions(argv: readonly string[]): { own: string[]; path: Record<string, string> } {
  const own: string[] = [];
  const path: Record<string, string> = {};
  const rest = [...argv];
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    const name = /^--?([a-z-]+)/.exec(word)?.[1];
    if (name === undefined || OWN_OPTIONS.has(name)) own.push(word);
    else path[name] = /=(.*)$/s.exec(word)?.[1] ?? takeValue(rest);
  }
  return { own, path };
}

/** The next word when it is no option; a bare option is a flag. */
function takeValue(rest: string[]): string {
  return rest[0] === undefined || rest[0].startsWith('-') ? '1' : (rest.shift() ?? '');
}
