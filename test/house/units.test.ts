import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { ROOT, treeFiles } from './tree.ts';

const units = treeFiles(/^deploy\/systemd\/.*\.service$/);
const hasChecker = spawnSync('systemd-analyze', ['--version']).status === 0;

describe('systemd units', () => {
  it('belong to the two daemons', () => {
    expect(units.map((unit) => unit.path)).toEqual([
      'deploy/systemd/pxmgr-agent.service',
      'deploy/systemd/pxmgr-controller.service',
    ]);
  });

  it.skipIf(!hasChecker)('are understood by systemd (skipped where systemd-analyze is missing)', () => {
    const child = spawnSync('systemd-analyze', ['verify', ...units.map((unit) => unit.path)], {
      cwd: ROOT,
      encoding: 'utf8',
    });
    const complaints = `${child.stdout}${child.stderr}`
      .split('\n')
      .filter((line) => line !== '' && !/Command .* is not executable/.test(line));
    expect(complaints).toEqual([]);
  });

  // Each of these would give the agent a mount namespace of its own, where mounts made by pct and zfs stay invisible.
  it('do not hide the agent from the mounts of its host', () => {
    const agent = units.find((unit) => unit.path.includes('agent'))?.text ?? '';
    const settings = agent
      .split('\n')
      .filter((line) =>
        /^(Protect(System|Home|Kernel\w*|ControlGroups|Proc)|Private(Tmp|Devices|Mounts)|Read(Write|Only)Paths|MountFlags|DynamicUser)=/.test(
          line,
        ),
      );
    expect(settings).toEqual([]);
  });
});
