/** The guest's hookscript, run as upstream runs it: id and phase as arguments, output into the task. */

import { errorText, ToolError } from '../call/tool.ts';
import type { Host } from '../host/host.ts';
import type { GuestSection } from '../text/guest-config.ts';
import { checkHookscript } from './change.ts';

export interface HookRun {
  readonly host: Host;
  readonly vmid: number;
  readonly config: GuestSection;
  readonly log: (text: string) => void;
  readonly signal: AbortSignal;
}

/** Only a failing `pre-start` stops what goes on. */
export async function runHook(
  run: HookRun,
  phase: 'pre-start' | 'post-start' | 'pre-stop' | 'post-stop',
): Promise<void> {
  const volid = run.config.values.get('hookscript');
  if (volid === undefined) return;
  try {
    await execute(run, await checkHookscript(run.host, volid), phase);
  } catch (err) {
    const text = `hookscript error for ${run.vmid} on ${phase}: ${errorText(err)}\n`;
    if (phase === 'pre-start') throw new ToolError(`${text}\n`);
    run.log(`${text}\n`);
  }
}

async function execute(run: HookRun, script: string, phase: string): Promise<void> {
  const { machineRunner } = await import('../host/machine.ts');
  const command = {
    file: run.host.path(script),
    args: [String(run.vmid), phase],
    purpose: 'hookscript',
    timeoutMs: 600_000,
  };
  const result = await machineRunner().run(command, { signal: run.signal, onLine: (_, line) => run.log(`${line}\n`) });
  if (result.exitCode !== 0)
    throw new ToolError(`command '${script} ${run.vmid} ${phase}' failed: exit code ${result.exitCode ?? 255}\n`);
}
