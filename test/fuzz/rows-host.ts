/** What the agent reads from its host: files of Proxmox and of the kernel, output of tools. */

import { parseNvidiaMemory } from '@pxmgr/agent/device/gpu';
import { parseStats } from '@pxmgr/agent/guest/create/verify-root';
import { parseRunning } from '@pxmgr/agent/guest/run-state';
import { parseVolumeList } from '@pxmgr/agent/guest/volumes';
import { formatIpv6, parseFibTrie, parseIfInet6 } from '@pxmgr/agent/host/addresses';
import { Cluster, parseMembers } from '@pxmgr/agent/host/cluster';
import { parseCpuTimes, parseMeminfo } from '@pxmgr/agent/host/facts';
import { parseInterfaces } from '@pxmgr/agent/host/net';
import { isAtLeast, parseDpkgStatus, parsePveversion } from '@pxmgr/agent/host/pve-version';
import { parseStorageRows } from '@pxmgr/agent/host/rrd';
import { classifyText } from '@pxmgr/agent/host/stderr-map';
import { isUsable, parseStorageCfg, templateDir } from '@pxmgr/agent/host/storage-cfg';
import { parseTaskRows } from '@pxmgr/agent/host/task-list';
import { parseVersionCounters } from '@pxmgr/agent/host/version-counters';
import { parseVmlist } from '@pxmgr/agent/host/vmlist';
import { parseStoredSize, splitTags } from '@pxmgr/agent/inventory/stored-value';
import { parseDatasets, parsePools, parseSnapshots } from '@pxmgr/agent/zfs/parse';
import { hasControlCharacters } from '@pxmgr/contract';
import { expect } from 'vitest';
import { near, nearJson, nearLines } from './hostile.ts';
import { type Row, textRow } from './row.ts';

const NO_JSON = { mayThrow: ['SyntaxError'] };
const UPID = 'UPID:pve1:000A1B2C:0123456A:69200000:vzcreate:101:root@pam:';
const DATASET =
  'rpool/data/subvol-101-disk-0\tfilesystem\t1024\t2048\t8589934592\t-\tyes\t/rpool/data/subvol-101-disk-0';
export const HOST_ROWS: readonly Row[] = [
  textRow(
    'parseMembers',
    nearJson({
      nodename: 'pve1',
      version: 3,
      cluster: { name: 'c', version: 1, nodes: 3, quorate: 1 },
      nodelist: { pve1: { id: 1, online: 1, ip: '192.0.2.1' } },
    }),
    (text) => {
      expect(typeof parseMembers(text).nodename).toBe('string');
    },
    { mayThrow: ['SyntaxError', 'ZodError'] },
  ),
  textRow('Cluster', nearJson({ nodename: 'pve1', cluster: { name: 'c', quorate: 1 } }), (text) => {
    const read = (): string => text;
    const cluster = new Cluster({ read, link: () => undefined, attribute: () => 'pve9.example.org' } as never);
    // Whatever pmxcfs says: who we are and whether we may write is always known, and rubbish never counts as a yes.
    expect(typeof cluster.nodeName()).toBe('string');
    expect(typeof cluster.quorate()).toBe('boolean');
  }),
  textRow(
    'parseVmlist',
    nearJson({ version: 5, ids: { '100': { node: 'pve1', type: 'lxc', version: 3 } } }),
    (text) => {
      for (const [vmid, entry] of parseVmlist(text).guests) {
        expect(Number.isSafeInteger(vmid) && vmid > 0, String(vmid)).toBe(true);
        expect([typeof entry.node, typeof entry.version]).toEqual(['string', 'number']);
      }
    },
    NO_JSON,
  ),
  textRow(
    'parseVersionCounters',
    nearJson({ starttime: 1, clinfo: 2, vmlist: 3, 'storage.cfg': 4, kvstore: { pve1: { tasklist: 7 } } }),
    (text) => {
      for (const counter of Object.values(parseVersionCounters(text, 'pve1'))) expect(typeof counter).toBe('number');
    },
    NO_JSON,
  ),
  textRow(
    'parseStorageRows',
    nearLines('pve2-storage/pve1/local:1700000000:100:50', 'pve-storage-9.0/pve1/local-zfs:1700000000:1:0'),
    (text) => {
      parseStorageRows(text, 'pve1');
    },
  ),
  textRow(
    'parseStorageCfg',
    nearLines(
      'dir: local',
      '\tpath /var/lib/vz',
      '\tcontent iso,vztmpl',
      'zfspool: local-zfs',
      '\tpool rpool/data',
      '\tnodes pve1,pve2',
      '\tdisable',
      '\tcontent-dirs vztmpl=t',
    ),
    (text) => {
      for (const storage of parseStorageCfg(text)) {
        expect(storage.id).not.toMatch(/\s/);
        expect(storage.content.has('')).toBe(false);
        expect(templateDir(storage) ?? '').not.toMatch(/\/\//);
        isUsable(storage, 'pve1');
      }
    },
  ),
  textRow('parseTaskRows', nearLines(UPID, `${UPID} 1 69200001 OK`, `${UPID} 69200001 command failed`), (text) => {
    for (const task of parseTaskRows(text)) expect(hasControlCharacters(task.upid)).toBe(false);
  }),
  textRow(
    'parseInterfaces',
    nearLines('iface vmbr0 inet static', '        address 192.0.2.1/24', 'auto lo'),
    (text) => void parseInterfaces(text),
  ),
  textRow(
    'parseDpkgStatus',
    nearLines('Package: pve-manager', 'Status: install ok installed', 'Version: 9.1.1', ''),
    (text) => void parseDpkgStatus(text, ['pve-manager']),
  ),
  textRow(
    'parsePveversion',
    nearLines('pve-manager: 9.1.1 (running version: 9.1.1/abc)', 'lxc-pve: 6.0.5-1'),
    (text) => {
      for (const version of parsePveversion(text, ['pve-manager', 'lxc-pve']).values())
        expect(typeof isAtLeast(version, '9.1')).toBe('boolean');
    },
  ),
  textRow(
    'parseMeminfo',
    nearLines('MemTotal:       16314832 kB', 'MemAvailable: 1 kB', 'HugePages_Total: 0'),
    (text) => void parseMeminfo(text),
  ),
  textRow('parseCpuTimes', nearLines('cpu  10 20 30 40 50 60 70 80 90 100', 'cpu0 1 2 3'), (text) => {
    const { busy, total } = parseCpuTimes(text);
    expect([Number.isFinite(busy), Number.isFinite(total)]).toEqual([true, true]);
  }),
  textRow(
    'parseFibTrie',
    nearLines('           |-- 192.0.2.1', '              /32 host LOCAL'),
    (text) => void parseFibTrie(text),
  ),
  textRow(
    ['parseIfInet6', 'formatIpv6'],
    nearLines('20010db8000000000000000000000001 02 40 00 80     eth0'),
    (text) => {
      for (const { cidr } of parseIfInet6(text)) expect(cidr).toMatch(/^[0-9a-f:]+\/\d{1,3}$/);
      formatIpv6(text.slice(0, 32));
    },
  ),
  textRow(
    'parseNvidiaMemory',
    nearLines('00000000:01:00.0, 24576', '0000:01:00.0,8'),
    (text) => void parseNvidiaMemory(text),
  ),
  textRow(
    'classifyText',
    near(
      'CT is locked (backup)',
      "Configuration file 'nodes/pve1/lxc/101.conf' does not exist",
      'manifest unknown',
      'no space left on device',
    ),
    (text) => {
      classifyText(text, { node: 'pve1' }, 'pct');
      classifyText(text, { node: 'pve1' }, 'skopeo');
    },
  ),
  textRow('parseDatasets', nearLines(DATASET), (text) => {
    for (const { usedBytes } of parseDatasets(text)) expect(usedBytes >= 0n).toBe(true);
  }),
  textRow('parsePools', nearLines('rpool\t1000\t500\t500\tONLINE'), (text) => void parsePools(text)),
  textRow(
    'parseSnapshots',
    nearLines('rpool/data/x@before\t0\t-', 'rpool/x#mark\t-\ta,b'),
    (text) => void parseSnapshots(text),
  ),
  textRow(
    'parseVolumeList',
    nearLines('Volid Format Type Size VMID', 'local:101/vm-101-disk-0.raw raw rootdir 1 101'),
    (text) => {
      for (const volume of parseVolumeList(text, 'local')) expect(volume).toMatch(/^local:\S*$/);
    },
  ),
  textRow(
    'parseRunning',
    nearLines('0: 2 0 1 1 1 @/var/lib/lxc/101/command', '0: 1 /var/run/qemu-server/100.qmp'),
    (text) => void parseRunning(text),
  ),
  textRow(
    'parseStats',
    nearLines('debugfs: stat "/etc/passwd"', 'Inode: 1   Type: regular  Mode: 0644', 'User: 0 Group: 0 Size: 12'),
    (text) => void parseStats(text),
  ),
  textRow(['parseStoredSize', 'splitTags'], near('8G', '0.5T', '10486K', 'a;b,c'), (text) => {
    expect(BigInt.asUintN(63, parseStoredSize(text))).toBe(parseStoredSize(text));
    expect(splitTags(text).filter((tag) => /[;,\s]/.test(tag))).toEqual([]);
  }),
];
