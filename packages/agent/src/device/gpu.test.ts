import { ScriptedRunner } from '@pxmgr/kit/exec/scripted';
import { describe, expect, it } from 'vitest';
import type { HostTree } from '../host/host-tree.fixture.ts';
import { hostTree } from '../host/host-tree.fixture.ts';
import { parseNvidiaMemory, readGpus } from './gpu.ts';

const PCI = '/sys/bus/pci/devices';

interface Card {
  address: string;
  ids: [vendor: string, device: string];
  driver: string;
  drm: string[];
}

function plug(tree: HostTree, { address, ids, driver, drm }: Card): void {
  const base = `${PCI}/${address}`;
  tree
    .write(`${base}/class`, '0x030000\n')
    .write(`${base}/vendor`, `0x${ids[0]}\n`)
    .write(`${base}/device`, `0x${ids[1]}\n`);
  tree
    .link(`${base}/driver`, `../../../bus/pci/drivers/${driver}`)
    .link(`${base}/iommu_group`, '../../../kernel/iommu_groups/15');
  for (const name of drm) {
    tree.folder(`${base}/drm/${name}`).write(`/dev/dri/${name}`, '');
    tree.link(`/dev/dri/by-path/pci-${address}-${name.startsWith('card') ? 'card' : 'render'}`, `../${name}`);
  }
}

const IDS =
  'x\n1002  Advanced Micro Devices, Inc. [AMD/ATI]\n\t73bf  Navi 21 [Radeon RX 6800/6800 XT / 6900 XT]\n8086  Intel Corporation\n\t4680  AlderLake-S GT1\n\t\t1462 7d25  Board\n10de  NVIDIA Corporation\n\t4680  not this one\n';

describe('readGpus', () => {
  it('finds an Intel iGPU with its stable names', async () => {
    const tree = hostTree({ '/usr/share/misc/pci.ids': IDS, [`${PCI}/0000:04:00.0/class`]: '0x020000\n' });
    plug(tree, { address: '0000:00:02.0', ids: ['8086', '4680'], driver: 'i915', drm: ['card0', 'renderD128'] });
    const [gpu, ...others] = await readGpus(tree.paths, new ScriptedRunner(), () => undefined);
    expect(others).toEqual([]);
    expect(gpu).toEqual({
      address: '0000:00:02.0',
      vendor: 'intel',
      model: 'AlderLake-S GT1',
      driver: 'i915',
      vramBytes: 0n,
      devicePaths: ['/dev/dri/by-path/pci-0000:00:02.0-render', '/dev/dri/by-path/pci-0000:00:02.0-card'],
      aliases: [
        '/dev/dri/card0',
        '/dev/dri/by-path/pci-0000:00:02.0-card',
        '/dev/dri/renderD128',
        '/dev/dri/by-path/pci-0000:00:02.0-render',
      ],
      renderNode: '/dev/dri/by-path/pci-0000:00:02.0-render',
      iommuGroup: 15,
      pciId: '8086:4680',
    });
  });

  it('reads the memory of an AMD card, and gives /dev/kfd with it', async () => {
    const tree = hostTree({ '/dev/kfd': '', [`${PCI}/0000:03:00.0/mem_info_vram_total`]: '17163091968\n' });
    plug(tree, { address: '0000:03:00.0', ids: ['1002', '73bf'], driver: 'amdgpu', drm: ['renderD129'] });
    tree.remove('/dev/dri/by-path');
    const [gpu] = await readGpus(tree.paths, new ScriptedRunner(), () => undefined);
    expect(gpu).toMatchObject({
      vendor: 'amd',
      vramBytes: 17163091968n,
      renderNode: '/dev/dri/renderD129',
      devicePaths: ['/dev/dri/renderD129', '/dev/kfd'],
      model: '',
    });
  });

  const nvidia = (): HostTree => {
    const tree = hostTree({ '/dev/nvidia0': '', '/dev/nvidiactl': '', '/dev/nvidia-uvm': '' });
    plug(tree, { address: '0000:01:00.0', ids: ['10de', '2503'], driver: 'nvidia', drm: ['card1', 'renderD128'] });
    return tree.write(
      '/proc/driver/nvidia/gpus/0000:01:00.0/information',
      'Model: \t\t NVIDIA GeForce RTX 3060\nDevice Minor: \t 0\n',
    );
  };

  it('asks nvidia-smi for the memory of an NVIDIA card', async () => {
    const runner = new ScriptedRunner().expect({ file: 'nvidia-smi' }, { stdout: '00000000:01:00.0, 12288\n' });
    const [gpu] = await readGpus(nvidia().paths, runner, () => undefined);
    expect(gpu).toMatchObject({
      vendor: 'nvidia',
      model: 'NVIDIA GeForce RTX 3060',
      vramBytes: 12288n * 1024n * 1024n,
    });
    expect(gpu?.devicePaths.slice(0, 3)).toEqual(['/dev/nvidia0', '/dev/nvidiactl', '/dev/nvidia-uvm']);
  });

  it('keeps the card when nvidia-smi fails, and tells', async () => {
    const failures: unknown[] = [];
    const runner = new ScriptedRunner().expect(
      { file: 'nvidia-smi' },
      { exit: 9, stderr: "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n" },
    );
    const gpus = await readGpus(nvidia().paths, runner, (error) => failures.push(error));
    expect(gpus).toMatchObject([{ vramBytes: 0n }]);
    expect(failures).toMatchObject([{ code: 'PXM_COMMAND_FAILED' }]);
  });

  it('asks nobody about a card that is held for a VM', async () => {
    const tree = hostTree();
    plug(tree, { address: '0000:01:00.0', ids: ['10de', '2503'], driver: 'vfio-pci', drm: [] });
    expect(await readGpus(tree.paths, new ScriptedRunner(), () => undefined)).toMatchObject([
      { driver: 'vfio-pci', devicePaths: [], renderNode: '' },
    ]);
  });

  it('reads the table of nvidia-smi, unknown values left out', () => {
    expect(Object.fromEntries(parseNvidiaMemory('00000000:2D:00.0, 24576\n00000000:2E:00.0, [N/A]\n\n'))).toEqual({
      '0000:2d:00.0': 25769803776n,
    });
  });
});
