/** `pct`: option parsing, faults and errors around the verbs of ../pct. Verbs are loaded when they are called. */
import type { Host } from '../host.ts';
import type { VerbHandler } from '../pct/context.ts';
import type { Tool } from '../tool.ts';
import { runCommands } from './run-commands.ts';

const VERBS: Readonly<Record<string, () => Promise<VerbHandler>>> = {
  create: async () => (await import('../pct/create.ts')).create,
  start: async () => (await import('../pct/power.ts')).start,
  stop: async () => (await import('../pct/power.ts')).stop,
  shutdown: async () => (await import('../pct/power.ts')).shutdown,
  reboot: async () => (await import('../pct/power.ts')).reboot,
  set: async () => (await import('../pct/change.ts')).set,
  unlock: async () => (await import('../pct/change.ts')).unlock,
  destroy: async () => (await import('../pct/change.ts')).destroy,
  list: async () => (await import('../pct/show.ts')).list,
  status: async () => (await import('../pct/show.ts')).status,
  config: async () => (await import('../pct/show.ts')).config,
  pending: async () => (await import('../pct/show.ts')).pending,
  exec: async () => (await import('../pct/inside.ts')).exec,
  enter: async () => (await import('../pct/inside.ts')).enter,
  push: async () => (await import('../pct/inside.ts')).push,
  pull: async () => (await import('../pct/inside.ts')).pull,
  snapshot: async () => (await import('../pct/snapshot.ts')).snapshot,
  delsnapshot: async () => (await import('../pct/snapshot.ts')).delsnapshot,
  rollback: async () => (await import('../pct/snapshot.ts')).rollback,
  listsnapshot: async () => (await import('../pct/snapshot.ts')).listsnapshot,
  resize: async () => (await import('../pct/volume.ts')).resize,
  'move-volume': async () => (await import('../pct/move-volume.ts')).moveVolume,
  migrate: async () => (await import('../pct/migrate.ts')).migrate,
  clone: async () => (await import('../pct/clone.ts')).clone,
  template: async () => (await import('../pct/clone.ts')).template,
  fstrim: async () => (await import('../pct/care.ts')).fstrim,
  df: async () => (await import('../pct/care.ts')).df,
  fsck: async () => (await import('../pct/care.ts')).fsck,
  rescan: async () => (await import('../pct/care.ts')).rescan,
  cpusets: async () => (await import('../pct/care.ts')).cpusets,
  console: async () => (await import('../pct/care.ts')).console,
  resume: async () => (await import('../pct/care.ts')).resume,
  suspend: async () => (await import('../pct/care.ts')).suspend,
  mount: async () => (await import('../pct/volume.ts')).mount,
  unmount: async () => (await import('../pct/volume.ts')).unmount,
};

export const pct: Tool = (host: Host, argv, io) => runCommands({ tool: 'pct', host, argv, io, verbs: VERBS });
