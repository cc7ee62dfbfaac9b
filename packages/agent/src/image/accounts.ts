/** passwd and group files of an image, and what `User` of its configuration stands for. */

export interface PasswdEntry {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

export interface ResolvedUser {
  readonly uid: number;
  readonly gid: number;
  /** HOME of that user; "/root" or "/" when passwd has no entry. */
  readonly home: string;
}

/** What the image has to resolve a user with. */
export interface Accounts {
  readonly passwd: readonly PasswdEntry[] | undefined;
  readonly groups: ReadonlyMap<string, number> | undefined;
  readonly hasEtc: boolean;
}

/** Ids have 32 bits, and the last one means "none" (Linux include/linux/uidgid.h). */
const ID_MAX = 2 ** 32 - 2;

export function parsePasswd(text: string): PasswdEntry[] {
  return text.split('\n').flatMap((line) => {
    const [name = '', , uid = '', gid = '', , home = ''] = line.split(':');
    if (name === '' || !/^\d+$/.test(uid) || !/^\d+$/.test(gid)) return [];
    return [{ name, uid: Number(uid), gid: Number(gid), home }];
  });
}

/** Group name to gid. */
export function parseGroup(text: string): Map<string, number> {
  const groups = new Map<string, number>();
  for (const line of text.split('\n')) {
    const [name = '', , gid = ''] = line.split(':');
    if (name !== '' && /^\d+$/.test(gid) && !groups.has(name)) groups.set(name, Number(gid));
  }
  return groups;
}

/**
 * `User` as Proxmox resolves it (proxmox/pve-container src/PVE/LXC/Create.pm): a name that is not found would
 * silently run as root, so it is a problem here. Gives the reason as text.
 */
export function resolveUser(user: string, accounts: Accounts): ResolvedUser | string {
  if (user === '') return rootUser(accounts.passwd);
  const match = /^([^:]+)(?::([^:]+))?$/.exec(user);
  if (match === null) return `User "${user}" is not name, uid, name:group or uid:gid`;
  if (!accounts.hasEtc) return `User "${user}" is set, but the image has no /etc directory`;
  const [, who = '', group] = match;
  const entry = findUser(who, accounts.passwd);
  if (entry === undefined) return `User "${user}" is not in the image's /etc/passwd`;
  const gid = group === undefined ? entry.gid : gidOf(group, accounts.groups);
  if (gid === undefined) return `group "${group ?? ''}" of User "${user}" is not in the image's /etc/group`;
  if (Math.max(entry.uid, gid) > ID_MAX) return `User "${user}" is more than Linux can count`;
  return { uid: entry.uid, gid, home: entry.home === '' ? '/' : entry.home };
}

/** A number needs no entry: Proxmox then sets the uid alone. */
function findUser(who: string, passwd: readonly PasswdEntry[] = []): Omit<PasswdEntry, 'name'> | undefined {
  if (!/^\d+$/.test(who)) return passwd.find((one) => one.name === who);
  return passwd.find((one) => one.uid === Number(who)) ?? { uid: Number(who), gid: 0, home: '/' };
}

function gidOf(group: string, groups: ReadonlyMap<string, number> | undefined): number | undefined {
  return /^\d+$/.test(group) ? Number(group) : groups?.get(group);
}

function rootUser(passwd: readonly PasswdEntry[] | undefined): ResolvedUser {
  return { uid: 0, gid: 0, home: passwd?.find((one) => one.uid === 0 && one.home !== '')?.home ?? '/root' };
}
