import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { StormWorld } from './storm.fixture.ts';
import { storms } from './storm-weather.fixture.ts';

/** The same storms at each run; others with PXMGR_SEED. */
const SEED = Number(process.env['PXMGR_SEED'] ?? 1);
const RUNS = 500;

describe('16 clients that place at once, whenever the controller is killed', () => {
  it('never get more than there is, and every promise ends', async () => {
    let kills = 0;
    await fc.assert(
      fc.asyncProperty(storms, async (storm) => {
        const world = new StormWorld(storm);
        await world.run();
        kills += world.kills;
      }),
      { numRuns: RUNS, seed: SEED },
    );
    expect(kills).toBeGreaterThan(RUNS / 2);
  }, 600_000);
});
