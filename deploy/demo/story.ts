/** The main job, told with the real command line tool: look, ask, run, look inside, read the history. */
import type { Fleet } from './fleet.ts';
import { probeOf, type Runtime } from './furnish.ts';
import type { Narrator } from './narrator.ts';

/** What the guest asks for: only one of the three hosts has both. */
const WISH = ['--gpu', 'amd', '--mount', 'tank/media:/media:ro'];

export async function showFleet(fleet: Fleet, narrator: Narrator): Promise<void> {
  const { cli } = fleet.controller;
  narrator.chapter('The fleet, as its agents see it');
  await narrator.run(cli, ['node', 'list']);
  await narrator.run(cli, ['device', 'list']);
  await narrator.run(cli, ['dataset', 'list']);
}

export async function explainPlacement(fleet: Fleet, narrator: Narrator): Promise<void> {
  narrator.chapter('Where would it go, and why not elsewhere');
  narrator.say('The guest wants an AMD GPU and the dataset tank/media.');
  await narrator.run(fleet.controller.cli, ['place', 'explain', fleet.image, ...WISH]);
}

export async function runGuest(fleet: Fleet, narrator: Narrator, runtime: Runtime): Promise<void> {
  const { cli } = fleet.controller;
  narrator.chapter('From an image reference to a running guest');
  narrator.say('Every command that runs on the node is shown; none goes through a shell.');
  await narrator.run(cli, [
    'run',
    fleet.image,
    '--name',
    'web',
    ...WISH,
    '--net',
    'bridge=vmbr0,ip=198.51.100.10/24',
    '--env',
    'GREETING=hello',
    '--ready',
    probeOf(runtime),
    '--show-commands',
  ]);
}

export async function lookInside(fleet: Fleet, narrator: Narrator, runtime: Runtime): Promise<void> {
  const { cli } = fleet.controller;
  narrator.chapter('The guest on its node');
  await narrator.run(cli, ['container', 'list']);
  await narrator.run(cli, ['container', 'get', 'web']);
  const node = fleet.nodes.find((candidate) => candidate.name === 'pve2');
  narrator.quote('on pve2: pct list', (await node?.tool('pct', 'list')) ?? '');
  if (runtime.kind === 'lxc') {
    narrator.say('\nIts page, fetched by a program inside the guest:');
    await narrator.run(cli, ['container', 'exec', 'web', '--', 'wget', '-q', '-O', '-', 'http://127.0.0.1:8080/']);
    await narrator.run(cli, ['container', 'exec', 'web', '--', 'sh', '-c', 'ls -ln /data /media /dev/dri; exit 3'], 3);
  } else
    narrator.say(
      `\nContainers are only played on this machine (${runtime.reason}), so there is nothing to run inside.`,
    );
}

export async function showHistory(fleet: Fleet, narrator: Narrator): Promise<void> {
  const { cli } = fleet.controller;
  narrator.chapter('What it left behind: history and reservations');
  await narrator.run(cli, ['change', 'list', '--kind', 'container']);
  await narrator.run(cli, ['reservation', 'list', '--all']);
  await narrator.run(cli, ['operation', 'list']);
}

export async function refuse(fleet: Fleet, narrator: Narrator): Promise<void> {
  const { cli } = fleet.controller;
  narrator.chapter('Mistakes are named all at once, and change nothing');
  await narrator.run(cli, ['run', fleet.image, '--memory', '512', '--mount', 'media', '--gpu', 'voodoo'], 2);
  await narrator.run(cli, ['run', fleet.image, '--name', 'huge', '--memory', '2TiB'], 7);
}

export async function tidyUp(fleet: Fleet, narrator: Narrator): Promise<void> {
  const { cli } = fleet.controller;
  narrator.chapter('And away again');
  await narrator.run(cli, ['container', 'shutdown', 'web', '--force']);
  await narrator.run(cli, ['container', 'destroy', 'web', '--yes']);
  await narrator.run(cli, ['container', 'list']);
}
