/** The tools by name; each module is loaded only when its tool is called. */
import type { Tool } from '../call/tool.ts';

export const TOOLS: Readonly<Record<string, () => Promise<Tool>>> = {
  pct: async () => (await import('./pct.ts')).pct,
  pvesm: async () => (await import('./pvesm.ts')).pvesm,
  pveam: async () => (await import('./pveam.ts')).pveam,
  pvecm: async () => (await import('./pvecm.ts')).pvecm,
  pvenode: async () => (await import('./pvenode.ts')).pvenode,
  pvesh: async () => (await import('./pvesh.ts')).pvesh,
  qm: async () => (await import('./qm.ts')).qm,
  zfs: async () => (await import('./zfs.ts')).zfs,
  zpool: async () => (await import('./zpool.ts')).zpool,
  'nvidia-smi': async () => (await import('./nvidia-smi.ts')).nvidiaSmi,
  'lxc-info': async () => (await import('./lxc-info.ts')).lxcInfo,
  'lxc-attach': async () => (await import('./lxc-attach.ts')).lxcAttach,
  debugfs: async () => (await import('./debugfs.ts')).debugfs,
  pveversion: async () => (await import('./pveversion.ts')).pveversion,
};

export function toolNames(): string[] {
  return Object.keys(TOOLS);
}
