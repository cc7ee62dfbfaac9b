import { ContainerDocument, type InventoryDocument, StorageDocument } from '@pxmgr/contract/common';
import { describe, expect, it } from 'vitest';
import type { Observation } from '../domain/change.ts';
import { describeChange } from './record.ts';

function container(part: Partial<ContainerDocument>): InventoryDocument {
  return {
    document: {
      $case: 'container',
      value: ContainerDocument.create({ vmid: 101, name: 'web', status: 'stopped', ...part }),
    },
  };
}

function storage(part: Partial<StorageDocument>): InventoryDocument {
  return { document: { $case: 'storage', value: StorageDocument.create({ id: 'local', type: 'dir', ...part }) } };
}

function observe(
  before: InventoryDocument | undefined,
  after: InventoryDocument | undefined,
  kind = 'container',
): Observation {
  return {
    nodeUid: 'n-a',
    nodeName: 'pve1',
    kind,
    id: '101',
    observedAt: new Date(0),
    before,
    after,
    cause: undefined,
  };
}

describe('describeChange', () => {
  it('names what was before and after, status first', () => {
    const change = describeChange(
      observe(
        container({ config: { memory: '512' } }),
        container({ status: 'running', config: { memory: '1024', onboot: '1' } }),
      ),
    );
    expect(change).toMatchObject({
      action: 'updated',
      objectName: 'web',
      fields: [
        { path: 'container.config.memory', before: '512', after: '1024' },
        { path: 'container.config.onboot', before: '', after: '1' },
        { path: 'container.status', before: 'stopped', after: 'running' },
      ],
      summary: 'status: stopped -> running; memory: 512 -> 1024; onboot: (none) -> 1',
    });
  });

  it('does not tell the same thing twice when the config tells it', () => {
    const before = container({ memoryBytes: 512n, tags: ['a'], config: { memory: '512', tags: 'a' } });
    const after = container({ memoryBytes: 1024n, tags: ['a', 'b'], config: { memory: '1024', tags: 'a;b' } });
    expect(describeChange(observe(before, after))?.fields.map((field) => field.path)).toEqual([
      'container.config.memory',
      'container.config.tags',
    ]);
  });

  it('is silent about equal documents and about figures that move by themselves', () => {
    expect(describeChange(observe(container({}), container({})))).toBeUndefined();
    expect(
      describeChange(observe(storage({ availableBytes: 1n }), storage({ availableBytes: 2n }), 'storage')),
    ).toBeUndefined();
    expect(describeChange(observe(storage({ enabled: true }), storage({ enabled: false }), 'storage'))?.summary).toBe(
      'enabled: true -> false',
    );
  });

  it('does not take another order of keyed lists for a change', () => {
    const rootfs = { key: 'rootfs', volume: 'a', target: '/', sizeBytes: 1n, readOnly: false, backup: true };
    const data = { key: 'mp0', volume: 'b', target: '/data', sizeBytes: 1n, readOnly: false, backup: true };
    expect(
      describeChange(observe(container({ mountPoints: [rootfs, data] }), container({ mountPoints: [data, rootfs] }))),
    ).toBeUndefined();
  });

  it('says who: the operator before the Proxmox user', () => {
    const cause = { upid: 'UPID:x', user: 'root@pam', operationId: 'op-1', actor: 'operator:alice' };
    expect(describeChange({ ...observe(undefined, container({})), cause })).toMatchObject({
      action: 'created',
      author: 'operator:alice',
      upid: 'UPID:x',
      operationId: 'op-1',
      summary: 'created',
    });
    expect(describeChange({ ...observe(container({}), undefined), cause: { ...cause, actor: '' } })).toMatchObject({
      action: 'deleted',
      author: 'root@pam',
      objectName: 'web',
    });
  });

  it('names variables of the environment and nothing of their values, in one line', () => {
    const before = container({ config: { env: 'PATH=hmac:1\nA=hmac:2', 'lxc.init.groups': '44' } });
    const after = container({
      config: {
        env: 'PATH=hmac:1\nA=hmac:3\nB=hmac:4',
        'lxc.init.groups': `44,${'1'.repeat(90)}`,
        mp1: 'x'.repeat(90),
      },
    });
    const summary = describeChange(observe(before, after))?.summary ?? '';
    expect(summary).toMatch(/^env changed: A, B; lxc\.init\.groups: 44 -> 44,1+\.\.\. and 1 more$/);
    expect(summary.length).toBeLessThanOrEqual(120);
  });

  it('cuts a value that is too long for history', () => {
    const change = describeChange(observe(container({}), container({ description: 'x'.repeat(5000) })));
    expect(change?.fields[0]?.after.length).toBeLessThan(2100);
    expect(change?.summary.length).toBeLessThanOrEqual(120);
  });
});
