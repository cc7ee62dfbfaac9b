import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { nextGeneration } from './generation.ts';

it('grows with every start and never goes back, even when the counter is lost', () => {
  const folder = mkdtempSync(join(tmpdir(), 'pxmgr-generation-'));
  onTestFinished(() => {
    rmSync(folder, { recursive: true });
  });
  const path = join(folder, 'state/generation');
  const first = nextGeneration(path, new Date(1_700_000_000_000));
  expect(first).toBe(1_700_000_000n);
  expect(nextGeneration(path, new Date(0))).toBe(first + 1n);
  writeFileSync(path, '17000');
  expect(nextGeneration(path, new Date(0))).toBe(17001n);
  writeFileSync(path, 'damaged');
  expect(nextGeneration(path, new Date(1_800_000_000_000))).toBeGreaterThan(first + 1n);
});
