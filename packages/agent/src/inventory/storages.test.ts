import { describe, expect, it } from 'vitest';
import type { HostTree } from '../host/host-tree.fixture.ts';
import { hostTree } from '../host/host-tree.fixture.ts';
import { storageCollector, storageSpaces, templateCollector } from './storages.ts';

const CFG = `dir: local
	path /var/lib/vz
	content iso,vztmpl

zfspool: tank
	pool tank/ct

nfs: nas
	server 192.0.2.9
	export /export
	content vztmpl

dir: away
	path /srv/away
	nodes pve9
`;

function contextOf(tree: HostTree) {
  const datasetSpace = (pool: string) =>
    pool === 'tank/ct' ? { totalBytes: 100n * 1024n ** 2n, usedBytes: 10n * 1024n ** 2n } : undefined;
  return { paths: tree.paths, nodeName: 'pve1', datasetSpace, onSilence: () => undefined };
}

describe('storages', () => {
  it('take the figures of pvestatd where they are there, rounded down', async () => {
    const tree = hostTree({
      '/etc/pve/storage.cfg': CFG,
      '/etc/pve/.rrd': 'pve-storage-9.0/pve1/nas:1787220000:100861726720:21474836480\n',
    });
    const found = await storageCollector(contextOf(tree)).collect();
    const documents = Object.fromEntries(found.map((one) => [one.id, one.document.document?.value]));
    expect(documents['nas']).toMatchObject({
      type: 'nfs',
      shared: true,
      enabled: true,
      active: true,
      totalBytes: 100861726720n - (100861726720n % 16777216n),
    });
    expect(documents['tank']).toMatchObject({
      pool: 'tank/ct',
      content: ['images', 'rootdir'],
      active: true,
      totalBytes: 96n * 1024n ** 2n,
      availableBytes: 80n * 1024n ** 2n,
    });
    expect(documents['away']).toMatchObject({ enabled: false, active: false, totalBytes: 0n });
  });

  it('look at local folders themselves when pvestatd does not run, never at network storages', async () => {
    const tree = hostTree({ '/etc/pve/storage.cfg': CFG }).folder('/var/lib/vz').folder('/mnt/pve/nas');
    const found = await storageCollector(contextOf(tree)).collect();
    const active = found.filter(
      (one) => one.document.document?.$case === 'storage' && one.document.document.value.active,
    );
    expect(active.map((one) => one.id)).toEqual(['local', 'tank']);
    expect([...(await storageSpaces(contextOf(tree))).keys()]).toEqual(['local', 'tank']);
    tree.remove('/var/lib/vz');
    expect([...(await storageSpaces(contextOf(tree))).keys()]).toEqual(['tank']);
  });
});

describe('templates', () => {
  it('are the files with the right names, in every storage that holds them', async () => {
    const tree = hostTree({
      '/etc/pve/storage.cfg': CFG,
      '/var/lib/vz/template/cache/debian-13.tar.zst': 'abc',
      '/var/lib/vz/template/cache/app_1.TAR': '',
      '/var/lib/vz/template/cache/app_1.tar.tmp.12': '',
      '/var/lib/vz/template/cache/notes.txt': '',
      '/mnt/pve/nas/template/cache/shared.tar.gz': 'x',
    }).folder('/var/lib/vz/template/cache/folder.tar');
    const found = await templateCollector(contextOf(tree)).collect();
    expect(found.map((one) => one.id)).toEqual([
      'local:vztmpl/app_1.TAR',
      'local:vztmpl/debian-13.tar.zst',
      'nas:vztmpl/shared.tar.gz',
    ]);
    expect(found[1]?.document.document?.value).toMatchObject({
      fileName: 'debian-13.tar.zst',
      sizeBytes: 3n,
      storage: 'local',
    });
  });
});
