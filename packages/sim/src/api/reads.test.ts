/** Reading methods of the API: fields and refusals as upstream's methods return them. */
import { writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeHost, type TestHost } from '../host.fixture.ts';
import { collectIo } from '../scratch-host.ts';
import { restAnswer } from './rest.ts';

let node: TestHost;
beforeEach(() => {
  node = makeHost({
    storages: [
      { id: 'local', type: 'dir', options: { path: '/var/lib/vz', content: 'images,rootdir' } },
      { id: 'off', type: 'dir', options: { path: '/off', content: 'images', disable: '1' } },
    ],
  });
});
afterEach(() => node.remove());

const get = (path: string): ReturnType<TestHost['run']> => node.run('pvesh', 'get', path, '--output-format', 'json');
const read = async (path: string): Promise<unknown> => JSON.parse((await get(path)).stdout) as unknown;

describe('VMs', () => {
  it('are listed, shown and told with what waits in their config', async () => {
    await node.run('qm', 'create', '300', '--name', 'one', '--cores', '2', '--memory', '128', '--onboot', '1');
    const figures = { cpu: 0, cpus: 2, disk: 0, maxdisk: 0, maxmem: 2 ** 27, mem: 0, memhost: 0, netin: 0, netout: 0 };
    const row = { ...figures, name: 'one', status: 'stopped', uptime: 0, vmid: 300 };
    expect(await read('/nodes/pve1/qemu')).toEqual([row]);
    expect(await read('/nodes/pve1/qemu/300/status/current')).toEqual({
      ...row,
      qmpstatus: 'stopped',
      ha: { managed: 0 },
    });
    expect(await read('/nodes/pve1/qemu/300/config')).toMatchObject({ cores: 2, memory: '128', onboot: 1 });
    await node.run('qm', 'start', '300');
    await node.run('qm', 'set', '300', '--cores', '3');
    expect(await read('/nodes/pve1/qemu/300/config')).toMatchObject({ cores: 3 });
    expect((await get('/nodes/pve1/qemu/301/config')).stderr).toBe(
      "Configuration file 'nodes/pve1/qemu-server/301.conf' does not exist\n",
    );
  });
});

describe('snapshots of a container', () => {
  it('end with the present', async () => {
    const section = 'arch: amd64\nostype: unmanaged\n';
    writeFileSync(
      node.host.clusterPath('nodes/pve1/lxc/200.conf'),
      `${section}parent: s1\n\n[s1]\n#why\n${section}snaptime: 5\n`,
    );
    expect(await read('/nodes/pve1/lxc/200/snapshot')).toEqual([
      { name: 's1', snaptime: 5, description: 'why\n' },
      { name: 'current', digest: expect.any(String) as string, running: 0, description: 'You are here!', parent: 's1' },
    ]);
  });
});

describe('storages', () => {
  it('are shown as they are configured, and as they are here', async () => {
    expect(await read('/storage/off')).toEqual({
      ...{ storage: 'off', type: 'dir', path: '/off', content: 'images', disable: 1 },
      digest: expect.any(String) as string,
    });
    expect(await read('/nodes/pve1/storage/off/status')).toMatchObject({ active: 0, enabled: 0, total: 0 });
    expect((await get('/nodes/pve1/storage/none/status')).stderr).toContain('storage: No such storage.\n');
    expect((await get('/storage/none')).stderr).toBe("storage 'none' does not exist\n");
  });
});

describe('a request without any credentials', () => {
  it('is told so, another than with a wrong secret', async () => {
    const ask = async (isAnonymous: boolean): Promise<unknown> =>
      restAnswer(node.host, { method: 'GET', path: 'version', isAnonymous }, collectIo().io);
    expect(await ask(true)).toEqual({ status: 401, reason: 'No ticket' });
    expect(await ask(false)).toEqual({ status: 401, reason: 'Authentication failed!' });
  });
});
