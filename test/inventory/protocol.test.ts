import { beforeEach, describe, it, vi } from 'vitest';
import { anyScript, harmlessScript } from './faults.ts';
import { checkScripts, holdsAlways, holdsWithoutLoss } from './protocol.ts';

/** The same scripts at each run; others with PXMGR_SEED, and with every soak. */
const seed = Number(process.env['PXMGR_SEED'] ?? 1);

beforeEach(() => {
  // The jitter of manifests must not make a run unrepeatable.
  vi.spyOn(Math, 'random').mockReturnValue(0.5);
});

describe('the inventory protocol', { timeout: 600_000 }, () => {
  it('cannot lose or invent anything, whatever goes wrong', async () => {
    await checkScripts(anyScript, holdsAlways, { runs: 1500, seed });
  });

  it('has no gap after faults that lose nothing', async () => {
    await checkScripts(harmlessScript, holdsWithoutLoss, { runs: 500, seed });
  });
});
