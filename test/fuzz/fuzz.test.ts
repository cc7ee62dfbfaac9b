/** Every parser and every argv builder under fire; what is slow gets its full number in `npm run test:soak`. */
import { FULL, fire } from './fire.ts';

fire((row) => row.runs ?? FULL);
