/** `pct`: option parsing, faults and errors around the verbs of ../pct. Verbs are loaded when they are called. */
import type { Host } from '../host.ts';
import type { VerbHandler } from '../pct/context.ts';
import { runCommands } from './run-commands.ts';
import type { Tool } from '../tool.ts';

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
};

export const pct: Tool = (host: Host, argv, io) => runCommands({ tool: 'pct', host, argv, io, verbs: VERBS });
