import { PRODUCT_VERSION } from '@pxmgr/contract';
import {
  type ConfigVerb,
  type DaemonLine,
  type DaemonText,
  daemonConfigText,
  daemonHelp,
  parseDaemonLine,
} from '@pxmgr/kit/config/daemon-line';
import { CONFIG, CONFIG_FILE, CONFIG_PROGRAM, type ConfigSource, ENV_PREFIX, loadControllerConfig } from './config.ts';

const TEXT: DaemonText = {
  program: CONFIG_PROGRAM,
  summary: 'inventory, history, placement and plans of a fleet of Proxmox VE nodes',
  running: 'serve operators and agents',
  table: CONFIG,
  envPrefix: ENV_PREFIX,
  configFile: CONFIG_FILE,
};

/** Errors: PXM_USAGE. */
export function parseCommandLine(argv: readonly string[]): DaemonLine {
  return parseDaemonLine(CONFIG_PROGRAM, argv);
}

export function sourceOf(line: DaemonLine, env: ConfigSource['env']): ConfigSource {
  return { file: line.configFile, env, flags: line.flags };
}

export function versionText(): string {
  return `${CONFIG_PROGRAM} ${PRODUCT_VERSION}\n`;
}

export function helpText(): string {
  return daemonHelp(TEXT);
}

/** Text of `config VERB`. Errors: those of loading it. */
export function configText(verb: ConfigVerb, source: ConfigSource): string {
  return daemonConfigText(verb, TEXT, () => loadControllerConfig(source));
}
