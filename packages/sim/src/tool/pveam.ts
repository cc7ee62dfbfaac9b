/** `pveam` (pve-manager PVE/CLI/pveam.pm). There is no catalogue and no network: `available` is empty, `update` fails as offline. */
import { existsSync, rmSync } from 'node:fs';
import { templateIndex } from '../api/node-answers.ts';
import { type Tool, ToolError } from '../call/tool.ts';
import { text, type VerbHandler } from '../pct/context.ts';
import { parameterError } from '../schema/command.ts';
import { contentRows } from '../storage/content.ts';
import { enabledStorage, findVolume, volumePath } from '../storage/storages.ts';
import { runCommands } from './run-commands.ts';

const list: VerbHandler = async (verb) => {
  const storage = enabledStorage(verb.host, text(verb, 'storage') ?? '');
  const rows = (await contentRows(verb.host, storage)).filter((row) => row.content === 'vztmpl');
  verb.io.out(`${'NAME'.padEnd(60)} ${'SIZE'.padEnd(6)}\n`);
  for (const row of rows) verb.io.out(`${row.volid.padEnd(60)} ${(row.sizeBytes / 1024 / 1024).toFixed(2)}MB\n`);
  return 0;
};

const remove: VerbHandler = async (verb) => {
  const volid = text(verb, 'template_path') ?? '';
  if (findVolume(verb.host, volid).parsed.kind !== 'vztmpl') throw new ToolError('not a template\n');
  const path = await volumePath(verb.host, volid);
  if (!existsSync(verb.host.path(path))) throw new ToolError(`volume '${volid}' does not exist\n`, 2);
  rmSync(verb.host.path(path), { force: true });
  return 0;
};

const available: VerbHandler = async (verb) => {
  templateIndex(verb.host, verb.io.err);
  return 0;
};

const update: VerbHandler = async (verb) => {
  verb.io.err('update failed - see /var/log/pveam.log for details\n');
  return 0;
};

const download: VerbHandler = async (verb) => {
  templateIndex(verb.host, verb.io.err);
  throw parameterError(verb.call, { template: 'no such template' }, 2);
};

export const pveam: Tool = (host, argv, io) =>
  runCommands({
    tool: 'pveam',
    host,
    argv,
    io,
    verbs: {
      list: async () => list,
      remove: async () => remove,
      available: async () => available,
      update: async () => update,
      download: async () => download,
    },
  });
