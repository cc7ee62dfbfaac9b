/** Exit codes that are not those of an error: the table of error codes has the rest. */

export const EXIT_INTERRUPTED = 130;
/** An explanation is complete, and no node fits: as PXM_PLACEMENT_INFEASIBLE has it. */
export const EXIT_INFEASIBLE = 7;
/** A self-test is complete, and something in it has failed. */
export const EXIT_CHECK_FAILED = 4;
