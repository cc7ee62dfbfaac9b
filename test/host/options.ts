/** Flags of `npm run test:host`. */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { parse } from 'yaml';
import type { SshTargetOptions } from './ssh-target.ts';
import { MARKER } from './target.ts';

export const HELP = `npm run test:host -- --address root@HOST[:PORT] --vmids FIRST-LAST --storage ID [options]

Runs the life cycle of an agent (join, inventory, containers from an image and from a template, start, exec, set,
snapshots, clones, devices, stop, destroy, faults) on a real Proxmox VE host, over ssh. The host must carry the file ${MARKER}. Only ids of the
given range and the given storages are used; everything is removed at the end.

  --address USER@HOST[:PORT]  the host; ssh as root, key login, host key in known_hosts
  --identity FILE             private key (default: as ssh chooses)
  --vmids FIRST-LAST          ids that the tests may use, none of them taken; at least 10
  --storage ID                storage for root file systems and volumes
  --template-storage ID       storage for template archives (default: local)
  --bridge NAME               bridge for the guests (default: vmbr0); the address 198.51.100.10 is used on it
  --device PATH               a device node that a guest may have (default: /dev/fuse)
  --agent-config FILE         more options for the agent, as YAML
  --help                      show this
`;

const FLAGS = {
  address: { type: 'string' },
  identity: { type: 'string' },
  vmids: { type: 'string' },
  storage: { type: 'string' },
  'template-storage': { type: 'string', default: 'local' },
  bridge: { type: 'string', default: 'vmbr0' },
  device: { type: 'string', default: '/dev/fuse' },
  'agent-config': { type: 'string' },
  help: { type: 'boolean', default: false },
} as const;

const IDS_NEEDED = 10;

/** The options, or every problem of them at once; undefined when help was asked for. */
export function readOptions(
  argv: readonly string[],
): { options: SshTargetOptions } | { problems: string[] } | undefined {
  let flags: ReturnType<typeof parseFlags>;
  try {
    flags = parseFlags(argv);
  } catch (error) {
    return { problems: [error instanceof Error ? error.message : String(error)] };
  }
  return flags.help ? undefined : fromFlags(flags);
}

function fromFlags(flags: ReturnType<typeof parseFlags>): { options: SshTargetOptions } | { problems: string[] } {
  const { address = '', storage = '' } = flags;
  const vmids = rangeOf(flags.vmids ?? '');
  const problems = [
    ...(/^[^-]/.test(address) ? [] : ['--address: root@HOST is needed']),
    ...(/^[A-Za-z]/.test(storage) ? [] : ['--storage: the id of a storage is needed']),
    ...(vmids === undefined ? [`--vmids: FIRST-LAST with at least ${IDS_NEEDED} ids from 100 on is needed`] : []),
  ];
  if (vmids === undefined || problems.length > 0) return { problems };
  const { bridge, device, identity, 'template-storage': templateStorage } = flags;
  const agent = moreOptions(flags['agent-config']);
  return {
    options: { ssh: { address, identity }, allowance: { vmids, storage, templateStorage, bridge, device }, agent },
  };
}

function moreOptions(file: string | undefined): Record<string, unknown> {
  return file === undefined ? {} : (parse(readFileSync(file, 'utf8')) as Record<string, unknown>);
}

function parseFlags(argv: readonly string[]) {
  return parseArgs({ args: [...argv], options: FLAGS, allowPositionals: false }).values;
}

function rangeOf(text: string): { first: number; last: number } | undefined {
  const [, first, last] = /^(\d{3,9})-(\d{3,9})$/.exec(text) ?? [];
  const range = { first: Number(first), last: Number(last) };
  return range.first >= 100 && range.last - range.first + 1 >= IDS_NEEDED ? range : undefined;
}
