import { toProblem, toPxmError } from './to-problem.ts';

/** A failure as a person at a terminal reads it: code and message, causes, hint. Ends with a line feed. */
export function explainError(error: unknown): string {
  const { code, message, hint, causes } = toProblem(error);
  const lines = [
    `error[${code}]: ${message}`,
    ...causes.map((cause) => `  cause: ${cause}`),
    ...(hint === '' ? [] : [`  hint:  ${hint}`]),
  ];
  return `${lines.join('\n')}\n`;
}

/** Exit code of a program that ended with this failure. */
export function exitCodeOf(error: unknown): number {
  return toPxmError(error).row.exit;
}
