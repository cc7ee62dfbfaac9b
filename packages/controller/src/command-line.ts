/** The controller's command line: a handful of commands, so a small parser instead of a library. */
import { PRODUCT_VERSION } from '@pxmgr/contract';
import { helpLines, renderExample } from '@pxmgr/kit/config/example';
import { showConfig } from '@pxmgr/kit/config/origin';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { CONFIG, CONFIG_FILE, type ConfigSource, ENV_PREFIX, loadControllerConfig } from './config.ts';

export type ControllerCommand =
  | { readonly name: 'run' }
  | { readonly name: 'config'; readonly verb: 'show' | 'check' | 'example' }
  | { readonly name: 'version' }
  | { readonly name: 'help' };

export interface CommandLine {
  readonly command: ControllerCommand;
  /** Undefined = the default file, which may be absent. */
  readonly configFile: string | undefined;
  /** Option values by flag name without dashes. */
  readonly flags: Readonly<Record<string, string>>;
}

const SWITCHES = new Set(['help', 'version']);

interface Words {
  readonly positionals: string[];
  readonly flags: Map<string, string>;
  readonly switches: Set<string>;
}

function usage(problem: string): PxmError {
  return new PxmError('PXM_USAGE', { problem, command: 'pxmgr-controller' });
}

function splitWords(argv: readonly string[]): Words {
  const words: Words = { positionals: [], flags: new Map(), switches: new Set() };
  for (let at = 0; at < argv.length; at += 1) {
    const word = argv[at] ?? '';
    if (!word.startsWith('--')) {
      words.positionals.push(word === '-h' ? 'help' : word);
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
    words.flags.set(name, value);
  }
  return words;
}

function configVerb(verb: string | undefined): 'show' | 'check' | 'example' {
  if (verb === 'show' || verb === 'check' || verb === 'example') return verb;
  throw usage(verb === undefined ? 'config needs one of: show, check, example' : `unknown command "config ${verb}"`);
}

function commandOf({ positionals, switches }: Words): ControllerCommand {
  const [name = 'run', ...rest] = positionals;
  if (switches.has('help') || name === 'help') return { name: 'help' };
  if (switches.has('version') || name === 'version') return { name: 'version' };
  if (name === 'config') return { name, verb: configVerb(rest[0]) };
  if (name === 'run' && rest.length === 0) return { name };
  throw usage(`unknown command "${positionals.join(' ')}"`);
}

/** Errors: PXM_USAGE. */
export function parseCommandLine(argv: readonly string[]): CommandLine {
  const words = splitWords(argv);
  const command = commandOf(words);
  const { config, ...flags } = Object.fromEntries(words.flags);
  return { command, configFile: config, flags };
}

export function sourceOf(line: CommandLine, env: ConfigSource['env']): ConfigSource {
  return { file: line.configFile, env, flags: line.flags };
}

export function versionText(): string {
  return `pxmgr-controller ${PRODUCT_VERSION}\n`;
}

export function helpText(): string {
  const options = helpLines(CONFIG, ENV_PREFIX).map(({ flag, text }) => `  ${flag}\n      ${text}`);
  return `pxmgr-controller: inventory, history, placement and plans of a fleet of Proxmox VE nodes

  pxmgr-controller [run]                 serve operators and agents
  pxmgr-controller config show           every option with its value and origin
  pxmgr-controller config check          report all problems of the configuration
  pxmgr-controller config example        print a commented configuration file
  pxmgr-controller version

Options (--config FILE names the file, default ${CONFIG_FILE}):
${options.join('\n')}
`;
}

/** Text of `config VERB`; a bad configuration throws before. */
export function configText(verb: 'show' | 'check' | 'example', source: ConfigSource): string {
  if (verb === 'example')
    return renderExample(CONFIG, { title: 'Configuration of pxmgr-controller', envPrefix: ENV_PREFIX });
  const loaded = loadControllerConfig(source);
  if (verb === 'check') return 'the configuration is valid\n';
  const rows = showConfig(CONFIG, loaded);
  const width = Math.max(...rows.map((row) => row.key.length));
  return rows
    .map(({ key, value, origin }) => `${key.padEnd(width)}  ${value === '' ? '-' : value}  (${origin.where})\n`)
    .join('');
}
