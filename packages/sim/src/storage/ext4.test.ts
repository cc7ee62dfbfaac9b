import { expect, it } from 'vitest';
import { ext4Space } from './ext4.ts';

const MIB = 1024 ** 2;

it('a mounted file system has the room that was measured on real ones', () => {
  expect(ext4Space(51 * MIB)).toEqual({ totalBytes: 44_870_656, keptBytes: (2611 + 1044) * 1024 });
  const { totalBytes } = ext4Space(8192 * MIB);
  expect(totalBytes).toBeGreaterThan(7.7 * 1024 ** 3);
  expect(totalBytes).toBeLessThan(7.9 * 1024 ** 3);
});
