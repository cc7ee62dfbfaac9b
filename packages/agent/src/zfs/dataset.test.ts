import { parseDatasetName } from '@pxmgr/contract';
import { ScriptedRunner } from '@pxmgr/kit/exec/scripted';
import { describe, expect, it } from 'vitest';
import { getDataset, listDatasets, listPools } from './dataset.ts';

// Columns name, type, used, available, refquota, origin, mounted, mountpoint of zfs list -Hp (OpenZFS 2.3), names invented.
const LIST = `rpool\tfilesystem\t212003840000\t709600000000\t0\t-\tyes\t/rpool
rpool/data/subvol-103-disk-0\tfilesystem\t20480000\t3780000000\t4294967296\trpool/data/basevol-9000-disk-0@__base__\tyes\t/rpool/data/subvol-103-disk-0
rpool/data/vm-200-disk-0\tvolume\t21474836480\t731074836480\t-\t-\t-\t-
tank/with space\tfilesystem\t24576\t1000\tnone\t-\tno\tlegacy
tank/odd\tfilesystem\t24576\t1000\t0\t-\tno\t/mnt/a\tb
`;
const LIST_COMMAND = 'zfs list -Hp -o name,type,used,available,refquota,origin,mounted,mountpoint -t filesystem,volume';

describe('listDatasets', () => {
  it('reads every column, unset ones as none', async () => {
    const runner = new ScriptedRunner().expect(LIST_COMMAND, { stdout: LIST });
    const datasets = await listDatasets(runner);
    expect(
      datasets.map((one) => [one.name, one.type, one.refquotaBytes, one.origin, one.isMounted, one.mountpoint]),
    ).toEqual([
      ['rpool', 'filesystem', 0n, '', true, '/rpool'],
      [
        'rpool/data/subvol-103-disk-0',
        'filesystem',
        4294967296n,
        'rpool/data/basevol-9000-disk-0@__base__',
        true,
        '/rpool/data/subvol-103-disk-0',
      ],
      ['rpool/data/vm-200-disk-0', 'volume', 0n, '', false, ''],
      ['tank/with space', 'filesystem', 0n, '', false, 'legacy'],
      ['tank/odd', 'filesystem', 0n, '', false, '/mnt/a\tb'],
    ]);
    expect(datasets[0]).toMatchObject({ usedBytes: 212003840000n, availableBytes: 709600000000n });
  });

  it('is empty without pools and without the module, and fails otherwise', async () => {
    const answers = [{ stdout: '' }, { exit: 1, stderr: 'The ZFS modules cannot be auto-loaded.\nTry running ...\n' }];
    for (const answer of answers)
      expect(await listDatasets(new ScriptedRunner().expect(LIST_COMMAND, answer))).toEqual([]);
    const failing = new ScriptedRunner().expect(LIST_COMMAND, { exit: 1, stderr: 'internal error: out of memory\n' });
    await expect(listDatasets(failing)).rejects.toMatchObject({ code: 'PXM_COMMAND_FAILED' });
  });
});

describe('getDataset', () => {
  it('names what is missing', async () => {
    const name = parseDatasetName('tank/none');
    if (!name.ok) throw new Error(name.reason);
    const runner = new ScriptedRunner().expect(`${LIST_COMMAND} -r tank/none`, {
      exit: 1,
      stderr: "cannot open 'tank/none': dataset does not exist\n",
    });
    await expect(getDataset(runner, name.value, 'pve1')).rejects.toMatchObject({
      code: 'PXM_DATASET_NOT_FOUND',
      fields: { dataset: 'tank/none', node: 'pve1' },
    });
  });
});

describe('listPools', () => {
  it('reads sizes and health', async () => {
    const stdout =
      'rpool\t996432412672\t212003840000\t784428572672\tONLINE\ntank\t15994458210304\t9595374977024\t6399083233280\tDEGRADED\n';
    const pools = await listPools(
      new ScriptedRunner().expect('zpool list -Hp -o name,size,allocated,free,health', { stdout }),
    );
    expect(pools.map((pool) => [pool.name, pool.freeBytes, pool.health])).toEqual([
      ['rpool', 784428572672n, 'ONLINE'],
      ['tank', 6399083233280n, 'DEGRADED'],
    ]);
  });
});
