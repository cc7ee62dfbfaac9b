/** The frame every tool shares: parse, obey faults, run the verb, turn thrown errors into stderr text and a status. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Died, inCall } from '../call/call.ts';
import { reach, switchesOf } from '../call/fault.ts';
import { errorText, ToolError, type ToolIo } from '../call/tool.ts';
import { requirePmxcfs } from '../cluster/pmxcfs.ts';
import type { Host } from '../host/host.ts';
import type { VerbHandler } from '../pct/context.ts';
import { type Call, checkCall, parameterError, parseCall } from '../schema/command.ts';
import { FieldError } from '../schema/property.ts';
import type { ToolSchema } from '../schema/schema-data.ts';

import { withSecrets } from './secrets.ts';

export interface CommandRun {
  readonly tool: string;
  readonly host: Host;
  readonly argv: readonly string[];
  readonly io: ToolIo;
  /** Default: that of the tool's data file. */
  readonly commands?: ToolSchema;
  readonly verbs: Readonly<Record<string, () => Promise<VerbHandler>>>;
}

const loadHelp = async (): Promise<VerbHandler> => (await import('./help.ts')).help;

export async function runCommands(run: CommandRun): Promise<number> {
  const { tool, host, io } = run;
  try {
    const delayMs = switchesOf(host).startUpMs ?? 0;
    if (delayMs > 0) await sleep(delayMs);
    requirePmxcfs(host);
    const call = await calledAs(run);
    const vmid = Number(call.params['vmid'] ?? 0);
    const verb = { help: loadHelp, ...run.verbs }[call.command];
    if (verb === undefined) throw new ToolError(`${tool} ${call.command} is not part of this stand-in\n`);
    return await inCall({ tool, command: call.command, vmid, io }, async () => {
      await reach(host, 'begin');
      const status = await withUsage(call, async () => (await verb())({ tool, host, io, call, vmid }));
      await reach(host, 'end');
      return status;
    });
  } catch (err) {
    if (err instanceof Died) return new Promise(() => undefined);
    // Texts of upstream end in a line feed, whoever raised them; everything else is a fault of this program.
    if (!(err instanceof ToolError) && !(err instanceof Error && err.message.endsWith('\n'))) throw err;
    io.err(err.message.endsWith('\n') ? err.message : `${errorText(err)}\n`);
    return err instanceof ToolError ? err.status : 255;
  }
}

async function calledAs({ tool, host, argv, io, commands }: CommandRun): Promise<Call> {
  const rules = { nodeName: host.name, ...(commands === undefined ? {} : { commands }) };
  return checkCall(await withSecrets(parseCall(tool, argv, rules), io.stdin));
}

/** Parameters that the method finds wrong are told with the usage, as those that the schema does; a broken stored value is not. */
async function withUsage(call: Call, run: () => Promise<number>): Promise<number> {
  try {
    return await run();
  } catch (err) {
    if (err instanceof FieldError && err.isOfCall) throw parameterError(call, err.errors, err.status);
    throw err;
  }
}
