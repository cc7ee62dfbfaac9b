import { ERROR_TABLE, type ErrorRow, GRPC, RETIRED_CODES } from '@pxmgr/contract';
import { cell, type Page, page, table } from './page.ts';

const RETRY_WORDS = { never: 'no', caller: 'yes, with a pause', state: 'after the state changes' } as const;

/** Exit codes that no error row carries. */
const OTHER_EXITS = [
  ['0', 'done'],
  ['143', 'ended by SIGTERM'],
] as const;

const EXIT_WORDS: Readonly<Record<number, string>> = {
  1: 'a bug of pxmgr, or a program that pxmgr called failed in a way it does not know',
  2: 'the input is wrong; nothing was changed',
  3: 'the thing does not exist',
  4: 'it exists, but is taken, in the wrong state, or was changed meanwhile',
  5: 'not allowed',
  6: 'out of reach or too slow',
  7: 'no room',
  8: 'some nodes failed, others did not',
  130: 'stopped by the user (SIGINT)',
};

function statusName(number: number): string {
  return Object.entries(GRPC).find(([, value]) => value === number)?.[0] ?? String(number);
}

function exitTable(rows: readonly ErrorRow[]): string {
  const used = [...new Set(rows.map((row) => row.exit))];
  const lines = [...used.map((exit) => [String(exit), EXIT_WORDS[exit] ?? ''] as const), ...OTHER_EXITS];
  return table(
    ['Exit', 'Meaning'],
    lines.sort((a, b) => Number(a[0]) - Number(b[0])).map((line) => [...line]),
  );
}

/** docs/reference/error-codes.md from the table of the contract. */
export function renderErrorCodes(): Page {
  const entries: readonly (readonly [string, ErrorRow])[] = Object.entries(ERROR_TABLE);
  const codes = entries.map(([code, row]) => [
    `\`${code}\``,
    String(row.exit),
    statusName(row.grpc),
    RETRY_WORDS[row.retry],
    cell(row.message),
    cell(row.hint),
  ]);
  const retired = RETIRED_CODES.length === 0 ? 'None.' : RETIRED_CODES.map((code) => `\`${code}\``).join(', ');
  const body = [
    'Words in braces are filled in with the fields of the error. With `-o json` the code and the fields are printed as they are.',
    '## Exit codes',
    exitTable(entries.map(([, row]) => row)),
    '## Codes',
    table(['Code', 'Exit', 'gRPC status', 'Try again?', 'Message', 'Hint'], codes),
    '## Retired codes',
    retired,
  ].join('\n\n');
  return page('docs/reference/error-codes.md', 'Error codes and exit codes', body);
}
