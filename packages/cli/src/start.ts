/** From argv to an exit code: parse, load the settings, run the command, show its result or its failure. */
import { PRODUCT_VERSION } from '@pxmgr/contract';
import { type Clock, systemClock } from '@pxmgr/kit/clock';
import { loadConfig } from '@pxmgr/kit/config/load';
import { showConfig } from '@pxmgr/kit/config/origin';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { toPxmError } from '@pxmgr/kit/error/to-problem';
import { Connection } from './client.ts';
import type { Command, Input, OptionTable } from './command.ts';
import { COMMANDS, NOUNS } from './commands/all.ts';
import { CLI_CONFIG, type CliConfig, defaultConfigFile, ENV_PREFIX } from './config.ts';
import type { Context, Look, Streams } from './context.ts';
import { EXIT_INTERRUPTED } from './exit.ts';
import type { Format } from './format.ts';
import { type GlobalValues, parseInvocation } from './program.ts';
import { errorJson, renderError } from './render/error.ts';
import { renderResult } from './render/output.ts';
import { createTheme } from './render/theme.ts';

const DEFAULT_WIDTH = 80;
const MAX_HELP_WIDTH = 110;

const PROGRAM = {
  name: 'pxmgr',
  summary: 'Fleet manager for Proxmox VE',
  version: `pxmgr ${PRODUCT_VERSION}`,
  commands: COMMANDS,
  nouns: NOUNS,
};

export interface Environment {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly streams: Streams;
  readonly interrupted: AbortSignal;
  readonly ask: Context['ask'];
  /** Default: that of the system. */
  readonly clock?: Clock;
}

function flagText(value: string | boolean | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function lookOf(environment: Environment, plain: boolean): Look {
  const noColor = (environment.env['NO_COLOR'] ?? '') !== '' || environment.env['TERM'] === 'dumb';
  return { plain, color: environment.streams.outIsTty && !noColor };
}

function settings(
  environment: Environment,
  globals: GlobalValues,
): { config: CliConfig; model: Context['configModel'] } {
  const named = flagText(globals.config);
  const file = named ?? defaultConfigFile(environment.env);
  const flags = Object.fromEntries(
    ['controller', 'ca', 'cert', 'key', 'output'].map((name) => [name, flagText(globals[name as keyof GlobalValues])]),
  );
  const loaded = loadConfig(CLI_CONFIG, {
    program: 'pxmgr',
    file,
    fileOptional: named === undefined,
    env: environment.env,
    flags,
    envPrefix: ENV_PREFIX,
  });
  return { config: loaded.values, model: { file, options: showConfig(CLI_CONFIG, loaded) } };
}

interface Chosen {
  readonly command: Command;
  readonly input: Input<OptionTable>;
  readonly globals: GlobalValues;
  readonly wanted: { format: Format };
}

async function runCommand(environment: Environment, chosen: Chosen, look: Look): Promise<number> {
  const { streams } = environment;
  const { config, model } = settings(environment, chosen.globals);
  const connection = new Connection(config, model.file);
  const format: Format = config.output;
  chosen.wanted.format = format;
  const context: Context = {
    clock: environment.clock ?? systemClock,
    streams,
    format,
    look,
    quiet: chosen.globals.quiet === true,
    config,
    configModel: model,
    connect: () => connection.open(),
    interrupted: environment.interrupted,
    ask: environment.ask,
  };
  try {
    const result = await chosen.command.run(context, chosen.input);
    const output = renderResult(result, { format, look, width: streams.outWidth });
    streams.out(output.out);
    if (!context.quiet) for (const note of output.notes) streams.err(`${note}\n`);
    return output.exit;
  } finally {
    connection.close();
  }
}

function report(
  environment: Environment,
  error: unknown,
  { look, json }: { readonly look: Look; readonly json: boolean },
): number {
  const pxm = toPxmError(error);
  const { streams } = environment;
  if (json) streams.err(`${errorJson(pxm)}\n`);
  else streams.err(`${renderError(pxm, createTheme({ ...look, color: look.color && streams.errIsTty })).join('\n')}\n`);
  if (environment.interrupted.aborted) return EXIT_INTERRUPTED;
  return pxm.row.exit;
}

/** Never throws: every failure is shown and becomes an exit code. */
export async function start(environment: Environment): Promise<number> {
  const { streams, argv } = environment;
  const plain = argv.includes('--plain');
  const look = lookOf(environment, plain);
  const width = Math.min(MAX_HELP_WIDTH, streams.outWidth ?? DEFAULT_WIDTH);
  // Known better once the settings are read; a wrong setting itself is told in the format of the flag.
  const wanted = { format: 'table' as Format };
  try {
    const invocation = parseInvocation({ ...PROGRAM, width }, argv);
    if (invocation.kind === 'help') {
      streams.out(invocation.text);
      return 0;
    }
    wanted.format = (flagText(invocation.globals.output) ?? 'table') as Format;
    return await runCommand(environment, { ...invocation, wanted }, look);
  } catch (error) {
    if (error instanceof PxmError && error.code === 'PXM_CANCELLED' && environment.interrupted.aborted) {
      streams.err('interrupted\n');
      return EXIT_INTERRUPTED;
    }
    return report(environment, error, { look, json: wanted.format === 'json' || wanted.format === 'ndjson' });
  }
}
