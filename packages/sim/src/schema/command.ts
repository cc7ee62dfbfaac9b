/** From argv to a sub-command and its checked parameters, or to the text and status the program ends with. */
import { ToolError } from '../call/tool.ts';
import { type OptionRules, parseOptions, UsageError } from './options.ts';
import { FieldError, type FieldErrors, type Parameters, type Properties } from './property.ts';
import { type CommandSchema, propertyOf, type ToolSchema, toolSchema } from './schema-data.ts';
import { HELP, overview, usageLine } from './usage.ts';
import { checkObject } from './value.ts';

export interface Call {
  /** Sub-command with its aliases resolved: `move-volume`, `scan zfs`. */
  readonly command: string;
  readonly method: string;
  /** Without the node's name. Booleans are 0 or 1, everything else is text. */
  readonly params: Parameters;
  /** The line after a parameter error. */
  readonly usage: string;
}

/** Raised for everything that ends a call before its method runs; `message` is the whole text for stderr. */
export class CallError extends ToolError {
  constructor(text: string, status = 255) {
    super(text, status);
    this.name = 'CallError';
  }
}

export interface CallRules {
  readonly nodeName: string;
  /** Default: that of the tool's data file. */
  readonly commands?: ToolSchema;
}

/** A call whose parameters nobody has checked yet. */
export interface ParsedCall extends Call {
  /** What the parameters have to be. */
  readonly properties: Properties;
}

export function parseCall(tool: string, argv: readonly string[], { nodeName, commands }: CallRules): ParsedCall {
  const { path, schema, rest } = resolve(tool, argv, commands ?? toolSchema(tool));
  const usage = usageLine([tool, ...path].join(' '), schema);
  const rules = rulesOf(schema, nodeName);
  try {
    const params = parseOptions(rest, rules);
    return { command: path.join(' '), method: schema.name ?? '', params, usage, properties: rules.params };
  } catch (err) {
    if (err instanceof UsageError) throw new CallError(`${err.lines.join('')}${err.message}${usage}`);
    throw err;
  }
}

export function checkCall({ properties, ...call }: ParsedCall): Call {
  try {
    checkParameters(call.params, properties);
  } catch (err) {
    if (err instanceof FieldError) throw new CallError(`${err.message}${call.usage}`);
    throw err;
  }
  const { node: _node, ...params } = call.params;
  return { ...call, params };
}

export function readCall(tool: string, argv: readonly string[], rules: CallRules): Call {
  return checkCall(parseCall(tool, argv, rules));
}

/** The API's check of a call's parameters; throws FieldError. */
export function checkParameters(params: Readonly<Parameters>, properties: Properties): void {
  const errors: FieldErrors = {};
  checkObject(params, { path: '', properties, lookUp: (key) => propertyOf(properties, key) }, errors);
  if (Object.keys(errors).length > 0) throw new FieldError('400 Parameter verification failed.', errors);
}

/** Parameters found wrong by the method itself: same text as the schema's. */
export function parameterError(call: Call, errors: FieldErrors, status = 255): CallError {
  return new CallError(`${new FieldError('400 Parameter verification failed.', errors).message}${call.usage}`, status);
}

/** Of every command whose answer is printed (pve-common src/PVE/RESTHandler.pm standard_output_options). */
const FORMAT_OPTIONS: Properties = {
  'output-format': { type: 'string', optional: 1, enum: ['text', 'json', 'json-pretty', 'yaml'] },
  quiet: { type: 'boolean', optional: 1 },
  'human-readable': { type: 'boolean', optional: 1 },
  noborder: { type: 'boolean', optional: 1 },
  noheader: { type: 'boolean', optional: 1 },
};

function rulesOf(schema: CommandSchema, nodeName: string): OptionRules {
  const fixed = Object.fromEntries(
    Object.entries(schema.fixed ?? {}).map(([key, value]) => [key, value === '' ? nodeName : value]),
  );
  const params = schema.isFormatted === 1 ? { ...FORMAT_OPTIONS, ...schema.params } : (schema.params ?? {});
  return { params, positional: schema.positional ?? [], fixed };
}

interface Resolved {
  readonly path: string[];
  readonly schema: CommandSchema;
  readonly rest: readonly string[];
}

function resolve(tool: string, argv: readonly string[], own: ToolSchema): Resolved {
  if (argv.length === 0) throw new CallError(`ERROR: no command specified\n${overview(tool)}`);
  let commands: ToolSchema = { ...own, help: HELP };
  const path: string[] = [];
  const words = [...argv];
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    const name = expand(commands, word) ?? word;
    path.push(name);
    const schema = Object.hasOwn(commands, name) ? commands[name] : undefined;
    if (schema === undefined) break;
    if (schema.alias !== undefined) {
      words.unshift(...schema.alias.split(' '));
      path.pop();
      continue;
    }
    if (schema.sub === undefined) return { path, schema, rest: words };
    commands = schema.sub;
    if (words.length === 0)
      throw new CallError(`ERROR: incomplete command '${[tool, ...path].join(' ')}'\n${overview(tool, path)}`);
  }
  throw new CallError(`ERROR: unknown command '${[tool, ...path].join(' ')}'\n${overview(tool)}`);
}

/** A unique prefix is enough; aliases count only when written in full. */
function expand(commands: ToolSchema, word: string): string | undefined {
  if (Object.hasOwn(commands, word)) return word;
  const hits = Object.keys(commands).filter((name) => name.startsWith(word) && commands[name]?.alias === undefined);
  return hits.length === 1 ? hits[0] : undefined;
}
