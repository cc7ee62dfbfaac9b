/** The agent's command line: a handful of commands, so a small parser instead of a library that costs start-up time. */
import { PRODUCT_VERSION } from '@pxmgr/contract';
import { helpLines, renderExample } from '@pxmgr/kit/config/example';
import type { Loaded } from '@pxmgr/kit/config/load';
import { loadConfig } from '@pxmgr/kit/config/load';
import { showConfig } from '@pxmgr/kit/config/origin';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { AgentConfig, DEFAULT_CONFIG_FILE, ENV_PREFIX } from './config.ts';

export type AgentCommand =
  | { readonly name: 'run' }
  | { readonly name: 'join'; readonly token: string; readonly force: boolean }
  | { readonly name: 'config'; readonly verb: 'show' | 'check' | 'example' }
  | { readonly name: 'version' }
  | { readonly name: 'help' };

export interface CommandLine {
  readonly command: AgentCommand;
  /** Undefined = the default file, which may be absent. */
  readonly configFile: string | undefined;
  /** Option values by flag name without dashes. */
  readonly flags: Readonly<Record<string, string>>;
}

/** Flags that take no value. */
const SWITCHES = new Set(['help', 'version', 'force']);

interface Words {
  readonly positionals: string[];
  readonly flags: Record<string, string>;
  readonly switches: Set<string>;
}

function usage(problem: string): PxmError {
  return new PxmError('PXM_USAGE', { problem, command: 'pxmgr-agent' });
}

function splitWords(argv: readonly string[]): Words {
  const words: Words = { positionals: [], flags: {}, switches: new Set() };
  for (let at = 0; at < argv.length; at += 1) {
    const word = argv[at] ?? '';
    if (!word.startsWith('--')) {
      words.positionals.push(word);
      continue;
    }
    const equals = word.indexOf('=');
    const name = word.slice(2, equals < 0 ? undefined : equals);
    if (SWITCHES.has(name)) {
      words.switches.add(name);
      continue;
    }
    const value = equals < 0 ? argv[(at += 1)] : word.slice(equals + 1);
    if (value === undefined) throw usage(`--${name} needs a value`);
    words.flags[name] = value;
  }
  return words;
}

function configVerb(verb: string | undefined): 'show' | 'check' | 'example' {
  if (verb === 'show' || verb === 'check' || verb === 'example') return verb;
  throw usage(verb === undefined ? 'config needs one of: show, check, example' : `unknown command "config ${verb}"`);
}

function commandOf({ positionals, switches }: Words): AgentCommand {
  const [name = 'run', ...rest] = positionals;
  if (switches.has('help') || name === 'help') return { name: 'help' };
  if (switches.has('version') || name === 'version') return { name: 'version' };
  if (name === 'config') return { name, verb: configVerb(rest[0]) };
  if (name === 'join') {
    if (rest[0] === undefined)
      throw usage('join needs the token that "pxmgr node token create" printed, or - to read it from stdin');
    return { name, token: rest[0], force: switches.has('force') };
  }
  if (name === 'run' && rest.length === 0) return { name };
  throw usage(`unknown command "${positionals.join(' ')}"`);
}

/** Errors: PXM_USAGE. */
export function parseCommandLine(argv: readonly string[]): CommandLine {
  const words = splitWords(argv);
  const { config, ...flags } = words.flags;
  return { command: commandOf(words), configFile: config, flags };
}

/** Errors: PXM_CONFIG_INVALID, PXM_CONFIG_UNREADABLE. */
export function loadAgentConfig(line: CommandLine, env: NodeJS.ProcessEnv): Loaded<typeof AgentConfig> {
  return loadConfig(AgentConfig, {
    program: 'pxmgr-agent',
    file: line.configFile ?? DEFAULT_CONFIG_FILE,
    fileOptional: line.configFile === undefined,
    env,
    flags: line.flags,
    envPrefix: ENV_PREFIX,
  });
}

export function versionText(): string {
  return `pxmgr-agent ${PRODUCT_VERSION}\n`;
}

export function helpText(): string {
  const options = helpLines(AgentConfig, ENV_PREFIX).map(({ flag, text }) => `  ${flag}\n      ${text}`);
  return `pxmgr-agent: the part of pxmgr that runs on a Proxmox VE host

  pxmgr-agent [run]              publish the inventory and serve the controller
  pxmgr-agent join TOKEN         become a member of a fleet; - reads the token from stdin, --force replaces an identity
  pxmgr-agent config show        every option with its value and origin
  pxmgr-agent config check       report all problems of the configuration
  pxmgr-agent config example     print a commented configuration file
  pxmgr-agent version

Options (--config FILE names the file, default ${DEFAULT_CONFIG_FILE}):
${options.join('\n')}
`;
}

/** Text of `config VERB`; a bad configuration throws before. */
export function configText(verb: 'show' | 'check' | 'example', line: CommandLine, env: NodeJS.ProcessEnv): string {
  if (verb === 'example')
    return renderExample(AgentConfig, { title: 'Configuration of pxmgr-agent', envPrefix: ENV_PREFIX });
  const loaded = loadAgentConfig(line, env);
  if (verb === 'check') return 'the configuration is valid\n';
  const rows = showConfig(AgentConfig, loaded);
  const width = Math.max(...rows.map((row) => row.key.length));
  return rows
    .map(({ key, value, origin }) => `${key.padEnd(width)}  ${value === '' ? '-' : value}  (${origin.where})\n`)
    .join('');
}
