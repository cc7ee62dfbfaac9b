import { stat } from 'node:fs/promises';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import type { Command, CommandResult } from '@pxmgr/kit/exec/command';
import { type HostPaths, isAbsent } from '../../host/paths.ts';
import { readStorages, templateDir } from '../../host/storage-cfg.ts';
import { parseGroup } from '../../image/accounts.ts';
import type { SourceFacts } from './source-facts.ts';

export interface TemplateParts {
  readonly paths: HostPaths;
  readonly node: string;
  readonly run: (command: Command) => Promise<CommandResult>;
}

/** Packed templates grow about this much when unpacked; only for the refusal of a root file system that is far too small. */
const GROWTH = 2;

/** The facts of a container made from a `vztmpl` file. PXM_TEMPLATE_NOT_FOUND when it is not there. */
export async function factsOfTemplate(
  parts: TemplateParts,
  volumeId: string,
  needsGroups: boolean,
): Promise<SourceFacts> {
  const path = templatePath(parts, volumeId);
  const size = await sizeOf(parts, path, volumeId);
  return {
    kind: 'template',
    template: volumeId,
    accounts: { groups: needsGroups ? await groupsOf(parts, path) : undefined, uid: 0, gid: 0 },
    home: undefined,
    volumes: [],
    argv: [],
    hasShell: true,
    expectedOsType: undefined,
    osTypeOption: undefined,
    architectureOption: undefined,
    unpackedBytes: size * GROWTH,
    sample: [],
    imageDigest: '',
    imageReference: '',
  };
}

function templatePath(parts: TemplateParts, volumeId: string): string {
  const match = /^([A-Za-z][A-Za-z0-9_.-]*[A-Za-z0-9]):vztmpl\/([^/\s]+)$/.exec(volumeId);
  const storage = readStorages(parts.paths).find((one) => one.id === match?.[1]);
  const folder = storage === undefined ? undefined : templateDir(storage);
  if (folder === undefined) throw new PxmError('PXM_TEMPLATE_NOT_FOUND', { template: volumeId, node: parts.node });
  return `${folder}/${match?.[2] ?? ''}`;
}

async function sizeOf(parts: TemplateParts, path: string, volumeId: string): Promise<number> {
  try {
    return (await stat(parts.paths.at(path))).size;
  } catch (error) {
    if (isAbsent(error))
      throw new PxmError('PXM_TEMPLATE_NOT_FOUND', { template: volumeId, node: parts.node }, { cause: error });
    throw error;
  }
}

/** tar(1) finds out the compression; it ends with 2 when one of the two spellings is absent, which is always so. */
async function groupsOf(parts: TemplateParts, path: string): Promise<ReadonlyMap<string, number> | undefined> {
  const { stdout } = await parts.run({
    file: 'tar',
    args: ['--extract', '--to-stdout', '--file', parts.paths.at(path), './etc/group', 'etc/group'],
    purpose: 'read the groups of the template',
    timeoutMs: 120_000,
    readOnly: true,
  });
  return stdout === '' ? undefined : parseGroup(stdout);
}
