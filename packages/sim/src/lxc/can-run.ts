/** Can this machine start containers? Answered by starting one that runs `true`, once per process. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isRoot } from '../host/machine.ts';
import { apparmorLines } from './guest-config.ts';
import { lxcCommand, lxcRunner } from './lxc-command.ts';
import { writeStaging } from './staging.ts';

export interface Ability {
  readonly ok: boolean;
  /** Why not; empty when it can. */
  readonly reason: string;
}

const PROGRAMS = ['lxc-start', 'lxc-stop', 'lxc-info', 'lxc-attach', 'lxc-execute'] as const;
const PROBE_CONFIG = [
  'lxc.monitor.unshare = 1',
  ...apparmorLines(),
  'lxc.net.0.type = empty',
  'lxc.idmap = u 0 100000 65536',
  'lxc.idmap = g 0 100000 65536',
  'lxc.console.path = none',
  'lxc.tty.max = 0',
  '',
].join('\n');

let answer: Promise<Ability> | undefined;

export function canRunLxc(): Promise<Ability> {
  answer ??= probe();
  return answer;
}

async function probe(): Promise<Ability> {
  if (!isRoot()) return { ok: false, reason: 'not root' };
  const absent = PROGRAMS.find((program) => !existsSync(`/usr/bin/${program}`));
  if (absent !== undefined) return { ok: false, reason: `${absent} is not installed (Debian package lxc)` };
  const directory = mkdtempSync(join(tmpdir(), 'pxsim-probe-'));
  try {
    writeFileSync(join(directory, 'config'), `${PROBE_CONFIG}lxc.hook.pre-start = ${writeStaging(directory, 0, [])}\n`);
    const args = [
      '-P',
      '/var/lib/lxc',
      '-n',
      `px-probe-${process.pid}`,
      '-f',
      join(directory, 'config'),
      '--',
      '/bin/true',
    ];
    const result = await lxcRunner().run(
      lxcCommand('lxc-execute', args, { purpose: 'see whether containers run here', timeoutMs: 30_000 }),
    );
    if (result.exitCode === 0) return { ok: true, reason: '' };
    return {
      ok: false,
      reason: `a container that runs "true" ended with ${result.exitCode ?? result.signal ?? 'no status'}: ${result.stderr.trim().split('\n')[0] ?? ''}`,
    };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
