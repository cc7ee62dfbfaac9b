import { PRODUCT_VERSION } from '@pxmgr/contract';
import {
  type ConfigVerb,
  type DaemonLine,
  type DaemonText,
  daemonConfigText,
  daemonHelp,
  parseDaemonLine,
  usageOf,
  type Words,
} from '@pxmgr/kit/config/daemon-line';
import { type Loaded, loadConfig } from '@pxmgr/kit/config/load';
import { AgentConfig, DEFAULT_CONFIG_FILE, ENV_PREFIX } from './config.ts';

export interface JoinCommand {
  readonly name: 'join';
  /** "-" = it is read from stdin. */
  readonly token: string;
  readonly force: boolean;
}

export type CommandLine = DaemonLine<JoinCommand>;

const PROGRAM = 'pxmgr-agent';

const TEXT: DaemonText = {
  program: PROGRAM,
  summary: 'the part of pxmgr that runs on a Proxmox VE host',
  running: 'publish the inventory and serve the controller',
  commands: [['join TOKEN', 'become a member of a fleet; - reads the token from stdin, --force replaces an identity']],
  table: AgentConfig,
  envPrefix: ENV_PREFIX,
  configFile: DEFAULT_CONFIG_FILE,
};

function joinCommand({ positionals: [name, token], switches }: Words): JoinCommand | undefined {
  if (name !== 'join') return undefined;
  if (token === undefined)
    throw usageOf(PROGRAM)('join needs the token that "pxmgr node token create" printed, or - to read it from stdin');
  return { name, token, force: switches.has('force') };
}

/** Errors: PXM_USAGE. */
export function parseCommandLine(argv: readonly string[]): CommandLine {
  return parseDaemonLine(PROGRAM, argv, { switches: ['force'], command: joinCommand });
}

/** Errors: PXM_CONFIG_INVALID, PXM_CONFIG_UNREADABLE. */
export function loadAgentConfig(line: CommandLine, env: NodeJS.ProcessEnv): Loaded<typeof AgentConfig> {
  return loadConfig(AgentConfig, {
    program: PROGRAM,
    file: line.configFile ?? DEFAULT_CONFIG_FILE,
    fileOptional: line.configFile === undefined,
    env,
    flags: line.flags,
    envPrefix: ENV_PREFIX,
  });
}

export function versionText(): string {
  return `${PROGRAM} ${PRODUCT_VERSION}\n`;
}

export function helpText(): string {
  return daemonHelp(TEXT);
}

/** Text of `config VERB`. Errors: those of loading it. */
export function configText(verb: ConfigVerb, line: CommandLine, env: NodeJS.ProcessEnv): string {
  return daemonConfigText(verb, TEXT, () => loadAgentConfig(line, env));
}
