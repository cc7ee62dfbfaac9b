import { describe, expect, it } from 'vitest';
import { fixture } from './fixture-file.fixture.ts';
import { parseStorageCfg, storageFor, templateDir } from './storage-cfg.ts';

interface UpstreamStorage {
  type: string;
  content: Record<string, number>;
  path?: string;
  pool?: string;
  shared?: number;
  disable?: number;
  nodes?: Record<string, number>;
}

describe('parseStorageCfg', () => {
  const storages = parseStorageCfg(fixture('pve-storage-9.1/storage.cfg'));
  const upstream = JSON.parse(fixture('pve-storage-9.1/storage.parsed.json')) as {
    ids: Record<string, UpstreamStorage>;
  };

  it('reads what Proxmox reads', () => {
    expect(storages.map((storage) => storage.id).sort()).toEqual(Object.keys(upstream.ids).sort());
    for (const storage of storages) {
      const want = upstream.ids[storage.id]!;
      expect({ id: storage.id, type: storage.type, content: [...storage.content].sort() }).toEqual({
        id: storage.id,
        type: want.type,
        content: Object.keys(want.content).sort(),
      });
      expect([storage.path, storage.pool, storage.shared, storage.disabled]).toEqual([
        want.path,
        want.pool,
        want.shared === 1,
        want.disable === 1,
      ]);
      expect(storage.nodes === undefined ? undefined : [...storage.nodes].sort()).toEqual(
        want.nodes && Object.keys(want.nodes).sort(),
      );
    }
  });

  it('adds the implicit local storage, which a missing file also means', () => {
    expect(parseStorageCfg('')).toMatchObject([{ id: 'local', type: 'dir', path: '/var/lib/vz' }]);
    expect(parseStorageCfg('zfspool: tank\n\tpool tank\n').map((storage) => storage.id)).toEqual(['tank', 'local']);
  });

  it('finds the template folder, also an overridden one, and none where templates are not allowed', () => {
    const [here, moved, images] = parseStorageCfg(
      'dir: a1\n\tpath /srv/a\n\tcontent vztmpl\n\ndir: b1\n\tpath /srv/b/\n\tcontent vztmpl,iso\n\tcontent-dirs iso=i,vztmpl=tpl\n\ndir: c1\n\tpath /srv/c\n',
    );
    expect([here!, moved!, images!].map(templateDir)).toEqual(['/srv/a/template/cache', '/srv/b/tpl', undefined]);
  });

  it('chooses a storage that is on this node and switched on, local first', () => {
    expect(storageFor(storages, 'rootdir', 'pve1')?.id).toBe('local-zfs');
    expect(storageFor(storages, 'vztmpl', 'pve1')?.id).toBe('local');
    expect(storageFor(storages, 'nothing', 'pve1')).toBeUndefined();
    const limited = parseStorageCfg('dir: x1\n\tpath /x\n\tcontent images\n\tnodes pve9\n');
    expect(storageFor(limited, 'images', 'pve9')?.id).toBe('local');
    expect(storageFor(limited.slice(0, 1), 'images', 'pve1')).toBeUndefined();
  });
});
