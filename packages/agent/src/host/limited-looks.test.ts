import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { LimitedLooks, liesElsewhere } from './limited-looks.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const SILENT = { code: 'PXM_STORAGE_SILENT' };
const never = (): Promise<never> => new Promise(() => undefined);

describe('a look at what lies on a server', () => {
  it('has a limit, and is not repeated while the kernel waits for the first', async () => {
    const looks = new LimitedLooks();
    let answer: () => void = () => undefined;
    const first = looks.look(
      'storage nas',
      { isElsewhere: true },
      () => new Promise<void>((resolve) => (answer = resolve)),
    );
    const refused = expect(first).rejects.toMatchObject({ ...SILENT, message: 'storage nas does not answer' });
    await vi.advanceTimersByTimeAsync(5_000);
    await refused;
    const body = vi.fn(never);
    await expect(looks.look('storage nas', { isElsewhere: true }, body)).rejects.toMatchObject(SILENT);
    expect(body).not.toHaveBeenCalled();
    const heard = vi.fn();
    looks.onAnswer(heard);
    await expect(looks.look('storage local', { isElsewhere: true }, () => Promise.resolve(1))).resolves.toBe(1);
    expect(heard).not.toHaveBeenCalled();
    answer();
    await vi.advanceTimersByTimeAsync(0);
    expect(heard).toHaveBeenCalledOnce();
    await expect(looks.look('storage nas', { isElsewhere: true }, () => Promise.resolve(1))).resolves.toBe(1);
  });

  it('takes two threads at most, however many do not answer, and none of what lies here', async () => {
    const looks = new LimitedLooks();
    const body = vi.fn(never);
    const all = Promise.allSettled(
      ['a', 'b', 'b', 'c', 'd'].map((id) => looks.look(`storage ${id}`, { isElsewhere: true }, body)),
    );
    await vi.advanceTimersByTimeAsync(20_000);
    expect((await all).map(({ status }) => status)).toEqual(Array.from({ length: 5 }, () => 'rejected'));
    expect(body).toHaveBeenCalledTimes(2);
    await expect(looks.look('storage local', { isElsewhere: false }, () => Promise.resolve(1))).resolves.toBe(1);
  });
});

it('knows by the mounts what lies on a server', () => {
  const mounts = [
    '21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw',
    '30 21 0:40 / /mnt/pve/nas rw shared:2 - nfs4 192.0.2.9:/x rw',
    '31 21 0:41 / /mnt/a\\040b rw - cifs //s/x rw',
    '32 21 0:42 / /etc/pve rw - fuse /dev/fuse rw',
    '33 30 8:2 / /mnt/pve/nas/here rw - xfs /dev/sdb1 rw',
  ].join('\n');
  const found = ['/var/lib/vz', '/mnt/pve/nas/template', '/mnt/pve/nasty', '/mnt/a b', '/mnt/pve/nas/here/x'].map(
    (path) => liesElsewhere(mounts, path),
  );
  expect(found).toEqual([false, true, false, true, false]);
});
