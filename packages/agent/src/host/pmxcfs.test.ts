import { describe, expect, it } from 'vitest';
import { fixture } from './fixture-file.fixture.ts';
import { parseStorageRows } from './rrd.ts';
import { parseTaskRows } from './task-list.ts';
import { parseVersionCounters } from './version-counters.ts';
import { parseVmlist } from './vmlist.ts';

describe('the dot files of /etc/pve', () => {
  it('.version', () => {
    const text = fixture('pve-cluster-9.1/version.json');
    expect(parseVersionCounters(text, 'pve1')).toEqual({
      startTime: 1786355881,
      clusterInfo: 7,
      vmlist: 41,
      storageCfg: 3,
      taskList: 30212,
    });
    expect(parseVersionCounters(text, 'pve9').taskList).toBe(0);
    expect(() => parseVersionCounters('', 'pve1')).toThrow(SyntaxError);
  });

  it('.vmlist, also of an empty cluster', () => {
    const { version, guests } = parseVmlist(fixture('pve-cluster-9.1/vmlist.json'));
    expect(version).toBe(parseVersionCounters(fixture('pve-cluster-9.1/version.json'), 'pve1').vmlist);
    expect([...guests.keys()].sort((a, b) => a - b)).toEqual([101, 105, 110, 200, 300, 9000]);
    expect(guests.get(200)).toEqual({ vmid: 200, node: 'pve1', kind: 'vm', version: 40 });
    expect(parseVmlist(fixture('pve-cluster-9.1/vmlist-empty.json')).guests.size).toBe(0);
  });

  it('.rrd, of this node only and in the older spelling too', () => {
    const text = `${fixture('pve-cluster-9.1/rrd.txt')}pve2-storage/pve1/old:1787220000:1000:10\npve-storage-9.0/pve2/local:1:2:3\npve-storage-9.0/pve1/gone:1:U:U\n`;
    const rows = parseStorageRows(text, 'pve1');
    expect([...rows.keys()]).toEqual(['local', 'local-zfs', 'old']);
    expect(rows.get('local-zfs')).toEqual({ totalBytes: 943718400000n, usedBytes: 123456789504n });
  });
});

describe('task lists', () => {
  it('active: running and finished tasks', () => {
    const rows = parseTaskRows(fixture('pve-common-9.2/active.txt'));
    expect(rows.map((row) => [row.parsed.type, row.parsed.id, row.parsed.user, row.endTime, row.status])).toEqual([
      ['vzstart', '105', 'root@pam', undefined, ''],
      ['vzcreate', '105', 'root@pam', 0x6a86e950, 'OK'],
      ['vzsnapshot', '101', 'svc@pve!pxmgr', 0x6a86e802, "snapshot name 'before-upgrade' already used"],
      ['ociregistrypull', 'media_latest.tar', 'svc@pve!pxmgr', 0x6a86e77f, 'OK'],
    ]);
  });

  it('index has no saved flag; lines that are none are left out', () => {
    const rows = parseTaskRows(`${fixture('pve-common-9.2/index.txt')}garbage\n\n`);
    expect(rows).toHaveLength(4);
    expect(rows.at(-1)).toMatchObject({ status: 'WARNINGS: 1', endTime: 0x6a86e965 });
  });
});
