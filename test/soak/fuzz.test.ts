/** The full number of inputs for every row, and a seed of its own at each run. */
import { FULL, fire } from '../fuzz/fire.ts';

fire(() => FULL);
