/** The installation page, walked: its commands are run on the host as they stand there. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BUNDLES, CHECKOUT } from '../../deploy/stand/stand-dir.ts';
import { SystemdHost } from './systemd-host.ts';

/** What a person has copied to the machine: the page says from where. */
const CLONE = '/srv/clone';
const UPLOAD = '/srv/upload';
export const PVE_ROOT = '/srv/pve1';

/** Shell blocks below a heading of docs/install.md; building and Debian packages are done already. */
function blocksOf(heading: string): string[] {
  const page = readFileSync(join(CHECKOUT, 'docs/install.md'), 'utf8');
  const section = page.split(/^## /m).find((part) => part.startsWith(heading));
  if (section === undefined) throw new Error(`docs/install.md has no section "${heading}"`);
  return [...section.matchAll(/```sh\n([\s\S]*?)```/g)].map((match) =>
    (match[1] ?? '')
      .split('\n')
      .filter((line) => !/^apt-get /.test(line))
      .join('\n'),
  );
}

/** Runs the block that holds `word`. */
async function walk(
  host: SystemdHost,
  { heading, word }: { heading: string; word: string },
  cwd: string,
): Promise<string> {
  const block = blocksOf(heading).find((one) => one.includes(word));
  if (block === undefined) throw new Error(`no block of "${heading}" says ${word}`);
  return await host.text('sh', '-euc', `cd ${cwd}\n${block}`);
}

/** A host with both programs installed; the controller runs, the agent has not joined. */
export async function installedHost(): Promise<SystemdHost> {
  const deploy = join(CHECKOUT, 'deploy');
  const host = await SystemdHost.boot({
    [`${CLONE}/dist`]: { from: BUNDLES },
    [`${CLONE}/deploy/systemd`]: { from: join(deploy, 'systemd') },
    [`${UPLOAD}/`]: { from: join(deploy, 'systemd') },
    '/etc/pxmgr/controller.yaml': 'advertise: [127.0.0.1]\n',
    '/etc/pxmgr/agent.yaml': `host_root: ${PVE_ROOT}\npath: ${PVE_ROOT}/bin:/usr/sbin:/usr/bin:/sbin:/bin\nadvertise: 127.0.0.1:7450\n`,
  });
  try {
    await host.text(
      'sh',
      '-euc',
      `cp ${CLONE}/dist/pxmgr-agent* ${CLONE}/dist/package.json ${CLONE}/dist/LICENSE ${UPLOAD}/`,
    );
    await host.text('node', `${CLONE}/dist/pxmgr-sim.js`, 'host', 'create', '--root', PVE_ROOT, '--name', 'pve1');
    await walk(host, { heading: '2. The controller', word: 'cp -r dist/.' }, CLONE);
    await walk(host, { heading: '2. The controller', word: 'systemctl enable --now' }, CLONE);
    return host;
  } catch (error) {
    await host.stop();
    throw error;
  }
}

/** All of the page that is done on the Proxmox host, but for the two last lines, which need a token. */
export async function installAgent(host: SystemdHost): Promise<void> {
  const [block] = blocksOf('3. Join a host').filter((one) => one.includes('pxmgr-agent join TOKEN'));
  const lines = (block ?? '').split('\n');
  const join_ = lines.findIndex((line) => line.startsWith('pxmgr-agent join'));
  if (join_ < 0) throw new Error('docs/install.md does not say how a host joins');
  await host.text('sh', '-euc', `cd ${UPLOAD}\n${lines.slice(0, join_).join('\n')}`);
}
