/** The tools by name; each module is loaded only when its tool is called. */
import type { Tool } from '../tool.ts';

export const TOOLS: Readonly<Record<string, () => Promise<Tool>>> = {
  pct: async () => (await import('./pct.ts')).pct,
  pvesm: async () => (await import('./pvesm.ts')).pvesm,
  pveam: async () => (await import('./pveam.ts')).pveam,
  pvesh: async () => (await import('./pvesh.ts')).pvesh,
  qm: async () => (await import('./qm.ts')).qm,
  pveversion: async () => (await import('./pveversion.ts')).pveversion,
  zfs: async () => (await import('./zfs.ts')).zfs,
  zpool: async () => (await import('./zpool.ts')).zpool,
  'lxc-info': async () => (await import('./lxc-info.ts')).lxcInfo,
  'lxc-attach': async () => (await import('./lxc-attach.ts')).lxcAttach,
  'guest-ended': async () => (await import('./guest-ended.ts')).guestEndedHook,
};

export function toolNames(): string[] {
  // The hook of really started guests is called by LXC, not by name from a PATH.
  return Object.keys(TOOLS).filter((name) => name !== 'guest-ended');
}
