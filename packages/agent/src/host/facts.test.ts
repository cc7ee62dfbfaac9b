import { describe, expect, it } from 'vitest';
import { parseCpuTimes, readNodeFacts, readNodeUsage } from './facts.ts';
import { NodeTree } from './host-tree.fixture.ts';

describe('facts of the machine', () => {
  it('are read below the host root', async () => {
    const { tree } = new NodeTree();
    tree.write('/sys/class/dmi/id/sys_vendor', 'Acme\n').write('/sys/class/dmi/id/product_name', 'Box 9\n');
    expect(await readNodeFacts(tree.paths)).toMatchObject({
      kernel: '6.17.2-1-pve',
      cpuModel: 'Test CPU',
      cpuCores: 2,
      memoryBytes: 8_192_000_000n,
      systemModel: 'Acme Box 9',
    });
  });

  it('count what the ARC would give back as free', () => {
    const { tree } = new NodeTree();
    expect(readNodeUsage(tree.paths)).toMatchObject({
      memoryUsedBytes: 2_048_000_000n,
      load1: 0.25,
      uptimeSeconds: 3600n,
    });
    tree.write(
      '/proc/spl/kstat/zfs/arcstats',
      '9 1 0x01 147 39984 1 2\nname                            type data\nc_min                           4    1000\nsize                            4    1048001000\n',
    );
    expect(readNodeUsage(tree.paths).memoryUsedBytes).toBe(1_000_000_000n);
  });

  it('counts idle and iowait as not busy', () => {
    expect(parseCpuTimes('cpu  100 1 50 900 10 2 5 0 7 7\ncpu0 1 1 1 1\n')).toEqual({ busy: 158, total: 1068 });
  });
});
