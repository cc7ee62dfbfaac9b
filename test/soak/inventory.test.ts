/** The properties of test/inventory, with many more scripts. PXMGR_SEED repeats a run, PXMGR_RUNS shortens it. */
import { beforeEach, describe, it, vi } from 'vitest';
import { anyScript, harmlessScript } from '../inventory/faults.ts';
import { checkScripts, holdsAlways, holdsWithoutLoss } from '../inventory/protocol.ts';

const seed = process.env['PXMGR_SEED'] === undefined ? undefined : Number(process.env['PXMGR_SEED']);
const runs = Number(process.env['PXMGR_RUNS'] ?? 100_000);

beforeEach(() => {
  vi.spyOn(Math, 'random').mockReturnValue(0.5);
});

describe('the inventory protocol', { timeout: Number.POSITIVE_INFINITY }, () => {
  it('cannot lose or invent anything, whatever goes wrong', async () => {
    await checkScripts(anyScript, holdsAlways, { runs: Math.ceil(runs * 0.75), seed });
  });

  it('has no gap after faults that lose nothing', async () => {
    await checkScripts(harmlessScript, holdsWithoutLoss, { runs: Math.ceil(runs * 0.25), seed });
  });
});
