/** The full number of inputs for every row, and a seed of its own at each run. PXMGR_RUNS shortens it. */
import { FULL, fire } from '../fuzz/fire.ts';

const runs = Number(process.env['PXMGR_RUNS'] ?? FULL);

fire(() => runs);
