/** Every parser and every argv builder under fire; what is slow gets its full number in `npm run test:soak`. The same inputs at each run. */
import { FULL, fire } from './fire.ts';

fire((row) => row.runs ?? FULL, Number(process.env['PXMGR_SEED'] ?? 1));
