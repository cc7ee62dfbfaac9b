/** The fleet of the demo: a controller, a registry with one image, and three hosts that differ in what they have. */

import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { buildDemoImage } from '@pxmgr/sim/image.fixture';
import type { ControllerProcess } from '../stand/controller.ts';
import { NodeProcess } from '../stand/node.ts';
import { pushImage } from '../stand/push-image.ts';
import { Registry } from '../stand/registry.ts';
import type { StandDir } from '../stand/stand-dir.ts';
import { furnish, HOSTS, runtimeHere } from './furnish.ts';

export interface Fleet {
  readonly dir: StandDir;
  readonly controller: ControllerProcess;
  readonly registry: Registry;
  readonly nodes: readonly NodeProcess[];
  readonly image: string;
}

export async function startRegistry(dir: StandDir): Promise<{ registry: Registry; image: string }> {
  const registry = await Registry.start({
    dir: dir.path('registry'),
    runner: dir.runner,
    user: 'demo',
    password: randomBytes(12).toString('hex'),
  });
  mkdirSync(dir.path('images'), { recursive: true });
  const { path } = await buildDemoImage(dir.path('images'), { name: 'web', version: '1.0' });
  return { registry, image: await pushImage({ runner: dir.runner, registry, archive: path, name: 'demo/web:1.0' }) };
}

/** Hosts with their agents' configuration; nothing runs yet. */
export async function makeNodes(
  dir: StandDir,
  controller: ControllerProcess,
  registry: Registry,
): Promise<NodeProcess[]> {
  const runtime = (await runtimeHere()).kind;
  const nodes: NodeProcess[] = [];
  for (const host of HOSTS) {
    const node = await NodeProcess.create({
      dir,
      controller,
      host: { ...host, runtime },
      agent: { insecure_registries: [registry.address], registry_auth_file: registry.authFile },
    });
    await furnish(node);
    nodes.push(node);
  }
  return nodes;
}

/** Everything down, last started first. Never throws: one that is already gone is no reason to leave the others. */
export async function stopFleet(fleet: Partial<Fleet>): Promise<string[]> {
  const problems: string[] = [];
  const attempt = async (what: string, stop: () => Promise<unknown> | undefined): Promise<void> => {
    try {
      await stop();
    } catch (error) {
      problems.push(`${what}: ${error instanceof Error ? error.message : String(error)}`);
    }
  };
  for (const node of fleet.nodes ?? []) await attempt(`host ${node.name}`, async () => await node.powerOff());
  await attempt('controller', async () => await fleet.controller?.stop());
  await attempt('registry', async () => await fleet.registry?.stop());
  return problems;
}
