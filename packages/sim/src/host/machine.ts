/**
 * The machine under the stand-in: its own programs (tar, lxc-start, ip, ...) through the one door to other programs.
 * Nothing here sees the stand-in's PATH, so `lxc-attach` means the system's own, never the stand-in's.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Command, CommandResult, Runner, RunOptions } from '@pxmgr/kit/exec/command';
import { createRunner } from '@pxmgr/kit/exec/run';
import { silentLogger } from '@pxmgr/kit/log/logger';

export const MACHINE_PATH = '/usr/sbin:/usr/bin:/sbin:/bin';

let runner: Runner | undefined;

export function machineRunner(): Runner {
  runner ??= createRunner({ path: MACHINE_PATH, logger: silentLogger() });
  return runner;
}

export interface ProgramCall {
  readonly file: string;
  readonly args: readonly string[];
  readonly purpose: string;
  readonly timeoutMs?: number;
}

/** Runs a program to its end; output bounded as the door bounds it. */
export function runProgram(call: ProgramCall, options?: RunOptions): Promise<CommandResult> {
  return machineRunner().run(commandOf(call), options);
}

export function commandOf(call: ProgramCall): Command {
  return { file: call.file, args: call.args, purpose: call.purpose, timeoutMs: call.timeoutMs ?? 60_000 };
}

export function hasProgram(name: string): boolean {
  return MACHINE_PATH.split(':').some((folder) => existsSync(join(folder, name)));
}

export function isRoot(): boolean {
  return process.getuid?.() === 0;
}
