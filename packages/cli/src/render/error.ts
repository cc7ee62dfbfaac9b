/** One failure on stderr: code and message, cause, hint. Problems of one input are listed, each on its line. */
import type { PxmError } from '@pxmgr/kit/error/pxm-error';
import { stripControlInLines } from '@pxmgr/kit/log/redact';
import { API_VERSION } from './json.ts';
import type { Theme } from './theme.ts';

function causes(error: PxmError): string[] {
  const found: string[] = [];
  let inner: unknown = error.cause;
  while (inner instanceof Error && found.length < 3) {
    // A library repeats its inner message with a prefix; one of the two is enough.
    const message = calm(inner.message).trim();
    const isKnown = [error.message, ...found].some(
      (known) => known.includes(message) || (known !== error.message && message.includes(known)),
    );
    if (message !== '' && !isKnown) found.push(message);
    inner = inner.cause;
  }
  return found;
}

/** Problems of an input stand one on a line, or joined by "; " where a sender needs one line. */
function splitProblems(text: string): string[] {
  return text.split(text.includes('\n') ? '\n' : '; ');
}

/** At most four lines, unless the input itself has several problems. */
export function renderError(error: PxmError, theme: Theme): string[] {
  const problems = splitProblems(calm(error.fields['problems'] ?? ''));
  const message =
    problems.length > 1 ? error.message.replace(error.fields['problems'] ?? '', '').trimEnd() : error.message;
  const lines = [`${theme.bad(`error[${error.code}]`)}: ${calm(message)}`];
  if (problems.length > 1) lines.push(...problems.map((problem) => `  ${theme.marks.bullet} ${problem}`));
  for (const cause of causes(error)) lines.push(`  ${theme.dim('cause:')} ${cause.split('\n').join('\n         ')}`);
  if (error.hint !== undefined) lines.push(`  ${theme.dim('hint:')}  ${calm(error.hint)}`);
  return lines;
}

/** Messages hold words of hosts, registries and files: none of them may speak to the terminal. */
function calm(text: string): string {
  return stripControlInLines(text);
}

/** The same for programs, with -o json. */
export function errorJson(error: PxmError): string {
  return JSON.stringify({
    apiVersion: API_VERSION,
    kind: 'Error',
    item: {
      code: error.code,
      message: error.message,
      hint: error.hint ?? '',
      fields: error.fields,
      exit: error.row.exit,
    },
  });
}
