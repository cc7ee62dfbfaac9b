/** A container template that is as small as one can be. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { NodeProcess } from '../../deploy/stand/node.ts';

export const TEMPLATE = 'local:vztmpl/small_1_amd64.tar.gz';

export function makeTemplate(node: NodeProcess): void {
  const tree = mkdtempSync(join(node.host.root, '..', 'template-'));
  for (const folder of ['etc', 'bin', 'sbin', 'usr', 'var', 'run']) execFileSync('mkdir', ['-p', join(tree, folder)]);
  writeFileSync(join(tree, 'etc/debian_version'), '12.5\n');
  writeFileSync(join(tree, 'etc/os-release'), 'ID=debian\nVERSION_ID="12"\n');
  writeFileSync(join(tree, 'etc/group'), 'root:x:0:\nvideo:x:44:\n');
  writeFileSync(join(tree, 'sbin/init'), '#!/bin/sh\n', { mode: 0o755 });
  execFileSync('mkdir', ['-p', node.host.path('/var/lib/vz/template/cache')]);
  execFileSync('tar', ['-C', tree, '-czf', node.host.path('/var/lib/vz/template/cache/small_1_amd64.tar.gz'), '.']);
  rmSync(tree, { recursive: true });
}
