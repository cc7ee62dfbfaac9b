/** Which tools are on the PATH, and what the node can therefore do. */
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import type { Capability } from '@pxmgr/contract';
import type { Runner } from '@pxmgr/kit/exec/command';
import type { PackageVersions } from './pve-version.ts';
import { isAtLeast } from './pve-version.ts';

/** Tool and the package whose version is shown for it. */
const TOOLS = [
  ['pct', 'pve-container'],
  ['qm', 'qemu-server'],
  ['pvesm', 'libpve-storage-perl'],
  ['zfs', 'zfsutils-linux'],
  ['zpool', 'zfsutils-linux'],
  ['skopeo', 'skopeo'],
  ['nvidia-smi', ''],
] as const;

export type ToolVersions = Readonly<Record<string, string>>;

/** First executable of that name on a colon-separated path. */
export function findOnPath(path: string, name: string): string | undefined {
  for (const folder of path.split(':').filter((part) => part !== '')) {
    const file = join(folder, name);
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      // Not there or not executable: the next folder may have it.
    }
  }
  return undefined;
}

async function askVersion(runner: Runner, tool: string): Promise<string> {
  const command = { file: tool, args: ['--version'], purpose: `version of ${tool}`, timeoutMs: 10_000, readOnly: true };
  const { stdout } = await runner.run(command);
  return /\d+(?:\.\d+)+/.exec(stdout)?.[0] ?? '';
}

/**
 * Tools that are there, with their versions ("" when it is not told). skopeo alone is asked itself when dpkg does not
 * know it: it starts in milliseconds, the Perl tools do not.
 */
export async function findTools(path: string, packages: PackageVersions, runner: Runner): Promise<ToolVersions> {
  const tools: Record<string, string> = {};
  for (const [tool, packageName] of TOOLS) {
    if (findOnPath(path, tool) === undefined) continue;
    const known = packages.get(packageName) ?? '';
    tools[tool] = known === '' && tool === 'skopeo' ? await askVersion(runner, tool) : known;
  }
  return tools;
}

/** Abilities of contract/capabilities.ts that this node has, in the order of that list. */
export function capabilitiesOf(tools: ToolVersions, packages: PackageVersions): Capability[] {
  const has = (tool: string): boolean => Object.hasOwn(tools, tool);
  const container = packages.get('pve-container');
  const rules: readonly [Capability, boolean][] = [
    ['container.lxc', has('pct')],
    // 6.1.8 closed the hole through which image strings could write configuration lines.
    ['container.oci', has('pct') && has('skopeo') && isAtLeast(container, '6.1.8')],
    ['image.pull', has('skopeo')],
    ['zfs', has('zfs') && has('zpool')],
    ['device.passthrough', has('pct') && isAtLeast(container, '5.1.1')],
  ];
  return rules.filter(([, able]) => able).map(([name]) => name);
}
