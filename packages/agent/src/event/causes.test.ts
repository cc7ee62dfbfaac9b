import { FakeClock } from '@pxmgr/kit/clock';
import { describe, expect, it } from 'vitest';
import { parseTaskRows } from '../host/task-list.ts';
import { Causes } from './causes.ts';

const START = 0x6a86e9e0;

function causesAt(seconds: number, text: string): { causes: Causes; clock: FakeClock; reads: () => number } {
  const clock = new FakeClock(new Date(seconds * 1000));
  let reads = 0;
  const tasks = () => {
    reads += 1;
    return parseTaskRows(text);
  };
  return { causes: new Causes(clock, tasks), clock, reads: () => reads };
}

const RUNNING = 'UPID:pve1:0001A2B3:004C5D6E:6A86E9E0:vzstart:105:root@pam: 0\n';
const ENDED = 'UPID:pve1:0001A100:004C0000:6A86E9D0:vzcreate:105:alice@pve: 1 6A86E9DA OK\n';

describe('who changed it', () => {
  it('is the newest task of the guest that runs or has just ended', () => {
    const both = causesAt(START + 1, ENDED + RUNNING).causes.lookup();
    expect(both('container', '105')).toMatchObject({ user: 'root@pam', operationId: '' });
    expect(both('container', '106')).toBeUndefined();
    const ended = causesAt(START - 3, ENDED).causes.lookup();
    expect(ended('vm', '105')).toMatchObject({ user: 'alice@pve' });
    expect(ended('dataset', 'rpool/data/subvol-105-disk-1')).toMatchObject({ user: 'alice@pve' });
    expect(ended('dataset', 'rpool/data/other')).toBeUndefined();
    const later = causesAt(START + 4, ENDED).causes.lookup();
    expect([later('container', '105'), later('dataset', 'tank/subvol-105-disk-1')?.user]).toEqual([
      undefined,
      'alice@pve',
    ]);
    expect(causesAt(START + 60, ENDED).causes.lookup()('container', '105')).toBeUndefined();
  });

  it('is the operation that said so while it runs, with the task it started', async () => {
    const { causes, clock } = causesAt(START + 1, RUNNING);
    causes.note('container', '105', { operationId: 'op-1', actor: 'operator:bob' });
    const cause = { operationId: 'op-1', actor: 'operator:bob', user: 'root@pam', upid: RUNNING.slice(0, -3) };
    expect(causes.lookup()('container', '105')).toEqual(cause);
    expect(causes.lookup()('dataset', 'tank/subvol-105-disk-0')).toEqual(cause);
    causes.settle([105]);
    await clock.advance(600_000);
    expect(causes.lookup()('container', '105')).toMatchObject({ operationId: 'op-1' });
  });

  it('is the operation for one more look after its end, and for its volumes a while longer', async () => {
    const { causes, clock } = causesAt(START + 1, '');
    const cause = { operationId: 'op-1', actor: 'operator:bob' };
    causes.note('container', '105', cause);
    causes.noteEnd('container', '105', cause);
    causes.settle([104]);
    expect(causes.lookup()('container', '105')).toMatchObject(cause);
    causes.settle([105]);
    expect(causes.lookup()('container', '105')).toBeUndefined();
    expect(causes.lookup()('dataset', 'tank/subvol-105-disk-0')).toMatchObject(cause);
    await clock.advance(15_000);
    expect(causes.lookup()('dataset', 'tank/subvol-105-disk-0')).toBeUndefined();
  });

  it('reads the task list once per round, and only for guests', () => {
    const { causes, reads } = causesAt(START, RUNNING);
    const lookup = causes.lookup();
    lookup('gpu', '0000:01:00.0');
    expect(reads()).toBe(0);
    lookup('container', '105');
    lookup('container', '106');
    expect(reads()).toBe(1);
  });
});
