/** Exit codes that are not those of an error: the table of error codes has the rest. */

export const EXIT_INTERRUPTED = 130;
