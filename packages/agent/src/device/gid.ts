import { limits } from '@pxmgr/contract';
import { PxmError } from '@pxmgr/kit/error/pxm-error';

/** What is known of the guest's own accounts, from its image. */
export interface GuestAccounts {
  /** Group name to gid inside the guest; undefined when there is no /etc/group. */
  readonly groups: ReadonlyMap<string, number> | undefined;
  /** Ids of the main process. */
  readonly uid: number;
  readonly gid: number;
}

export interface DeviceAccess {
  readonly gid: number;
  /** Four octal digits. */
  readonly mode: string;
  readonly warning?: string;
}

const DEFAULT_MODE = '0660';

/**
 * The gid a device node gets inside the guest: that of the guest's own render or video group, never the host's (they
 * differ between distributions and releases). Without such a group: root's when the program runs as root, else its
 * own group, else everybody with a warning. A gid outside the id map would silently become a group of the host.
 */
export function chooseAccess(
  wanted: { groups: readonly string[]; mode: string; path: string },
  guest: GuestAccounts,
): DeviceAccess {
  const mode = wanted.mode === '' ? DEFAULT_MODE : wanted.mode;
  if (!/^0[0-7]{3}$/.test(mode)) throw invalid(`mode "${mode}" of ${wanted.path} is not four octal digits like 0660`);
  const access = pick(wanted.groups, mode, guest);
  if (access.gid > limits.GUEST_ID_MAX)
    throw invalid(`gid ${access.gid} for ${wanted.path} is beyond the id map of a container`);
  return access;
}

function pick(names: readonly string[], mode: string, guest: GuestAccounts): DeviceAccess {
  for (const name of names) {
    const gid = guest.groups?.get(name);
    if (gid !== undefined) return { gid, mode };
  }
  if (guest.uid === 0) return { gid: 0, mode };
  if (guest.gid !== 0) return { gid: guest.gid, mode };
  const warning = `the image has none of the groups ${names.join(', ')}: the device is open to everybody in the guest`;
  return { gid: 0, mode: '0666', warning };
}

function invalid(problem: string): PxmError {
  return new PxmError('PXM_INPUT_INVALID', { count: '1', problems: problem });
}
