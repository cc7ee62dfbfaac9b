/** `pxmgr-sim host create` and `host watch`. */
import { parseArgs } from 'node:util';
import { installTools } from './door/exec.ts';
import { createHost } from './fleet/new-host.ts';
import { watchHost } from './fleet/watch.ts';
import { Host } from './host/host.ts';

const OPTIONS = {
  root: { type: 'string' },
  name: { type: 'string', default: 'pve1' },
  cores: { type: 'string', default: '8' },
  'memory-gib': { type: 'string', default: '32' },
  'cluster-dir': { type: 'string' },
  'cluster-name': { type: 'string' },
  ip: { type: 'string' },
  runtime: { type: 'string', default: 'played' },
  seed: { type: 'string' },
  bundle: { type: 'string' },
} as const;

export async function runHostCommand(verb: 'create' | 'watch', argv: readonly string[]): Promise<number> {
  const { values } = parseArgs({ args: [...argv], options: OPTIONS, strict: true });
  if (values.root === undefined) throw new Error('--root is needed');
  if (verb === 'watch') return watch(values.root);
  const clusterName = values['cluster-name'];
  const host = createHost(values.root, {
    name: values.name,
    cores: Number(values.cores),
    memoryBytes: Number(values['memory-gib']) * 1024 ** 3,
    runtime: values.runtime === 'lxc' ? 'lxc' : 'played',
    ...(values['cluster-dir'] === undefined ? {} : { clusterDir: values['cluster-dir'] }),
    ...(clusterName === undefined ? {} : { clusterName }),
    ...(values.ip === undefined ? {} : { ip: values.ip }),
    ...(values.seed === undefined ? {} : { seed: values.seed }),
  });
  const folder = installTools(host.root, { bundle: values.bundle ?? process.argv[1] ?? '' });
  process.stdout.write(`${host.root}\n${folder}\n`);
  return 0;
}

/** Runs until a stop signal. */
async function watch(root: string): Promise<number> {
  const stopped = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => stopped.abort());
  await watchHost(Host.open(root), stopped.signal);
  return 0;
}
