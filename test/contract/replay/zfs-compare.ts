/**
 * Texts of a recording and of the stand-in compared with what may differ named one by one: times, guids, transaction
 * groups, tokens; and sizes that follow from how many blocks a file system really took, which must be near.
 */
import { masked } from './outcome.ts';

const MARKS: readonly (readonly [RegExp, string])[] = [
  [/\b1-[0-9a-f]+-[0-9a-f]+-[0-9a-f]{20,}\b/g, '<token>'],
  [/\b17\d{8}(?:\.\d{9})?\b/g, '<time>'],
  [
    /\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z]{2} [ \d]\d [ \d]\d:\d\d(?::\d\d)?(?: [A-Z]{3,4})? 20\d\d\b/g,
    '<time>',
  ],
  [/\b20\d\d-\d\d-\d\d\.\d\d:\d\d:\d\d\b/g, '<time>'],
  [/(["\s]?(?:guid|GUID)["\s:]+(?:\{"value":)?"?)\d{15,20}/g, '$1<guid>'],
  [/("(?:createtxg|txg)":"?)\d+/g, '$1<txg>'],
  [/(\t(?:createtxg|objsetid)\t)\d+/g, '$1<n>'],
  [/\b\d{17,20}\b/g, '<guid>'],
  // How scattered the free space is, and how far a transfer has got when its line is printed.
  [/\t\d+(\t\d+\t(?:1\.00|-)\t[A-Z]+\b)/g, '\t<frag>$1'],
  [/ +\d+%( +\d+% +1\.00x)/g, ' <frag>$1'],
  [/^\d\d:\d\d:\d\d\t\d+\t/gm, '<time>\t<n>\t'],
  // How many seconds a transfer takes is the machine's.
  [/^(<time>\t<n>\t.*\n)\1+/gm, '$1'],
  [/\bin \d\d:\d\d:\d\d\b/g, 'in <time>'],
  [/\b[\d.]+K? stream in [\d.]+ seconds \([^)]*\)/g, '<n> stream in <time>'],
  [/\bcopied, [\d.]+ s, [\d.]+ \w+\/s/g, 'copied'],
];

/** Columns of `-o` in -H output that hold such values: the numbers there are small and cannot be told by their form. */
export function marked(text: string, argv: readonly string[]): string {
  return MARKS.reduce((result, [pattern, mark]) => result.replace(pattern, mark), columnsMarked(masked(text), argv));
}

function columnsMarked(text: string, argv: readonly string[]): string {
  const columns = argv[argv.indexOf('-o') + 1]?.split(',') ?? [];
  if (!argv.includes('-o') || !columns.includes('createtxg')) return text;
  const mark = (row: string): string =>
    row
      .split('\t')
      .map((cell, i) => (columns[i] === 'createtxg' && /^\d+$/.test(cell) ? '<txg>' : cell))
      .join('\t');
  return text.split('\n').map(mark).join('\n');
}

const NUMBER = /\d+(?:\.\d+)?[KMGT]?/g;
const UNITS: Readonly<Record<string, number>> = { K: 1024, M: 1024 ** 2, G: 1024 ** 3, T: 1024 ** 4 };
/** Metadata of a file system and of its directories, and what a transaction group has not counted yet. */
const NEAR_BYTES = 256 * 1024;
const NEAR_SHARE = 0.04;
const SMALLEST_SIZE = 512;

/** What somebody has set is exact. */
const SET =
  /\b(?:refquota|quota|reservation|refreservation|volsize|recordsize|volblocksize)(?:\t|":\{"value":"?)(\d+)/g;

/** Equal but for sizes that are near each other. */
export function isNear(recorded: string, made: string): boolean {
  if (recorded === made) return true;
  const cut = CUT.exec(recorded);
  if (cut !== null) return isNearAtStart(recorded.slice(0, cut.index - 100), made);
  if (JSON.stringify(recorded.match(SET)) !== JSON.stringify(made.match(SET))) return false;
  if (skeletonOf(recorded) !== skeletonOf(made)) return false;
  const [wanted, got] = [recorded, made].map((text) => text.match(NUMBER) ?? []);
  return (wanted ?? []).every((one, i) => isNearNumber(one, got?.[i] ?? ''));
}

/** A number is as wide as it is; what stands in a line without any is where it stands, as the heads of columns do. */
function skeletonOf(text: string): string {
  return text
    .split('\n')
    .map((line) => (/\d/.test(line) ? line.replace(NUMBER, '#').replace(/ {2,}/g, ' ') : line))
    .join('\n');
}

/** Long outputs were recorded up to a length. */
const CUT = /\n?\.\.\.\[cut, .* characters in all\]\s*$/;

function isNearAtStart(recorded: string, made: string): boolean {
  const wanted = recorded.match(NUMBER) ?? [];
  const skeleton = recorded.replace(NUMBER, '#').replace(/#[^#]*$/, '');
  const got = made.match(NUMBER) ?? [];
  return (
    made.replace(NUMBER, '#').startsWith(skeleton) &&
    wanted.slice(0, -1).every((one, i) => isNearNumber(one, got[i] ?? ''))
  );
}

function isNearNumber(one: string, other: string): boolean {
  if (one === other) return true;
  const [a, b] = [bytesOf(one), bytesOf(other)];
  const isZeroed = Math.min(a, b) === 0 && Math.max(a, b) <= NEAR_BYTES && Math.max(a, b) >= SMALLEST_SIZE;
  if (isZeroed) return true;
  if (Math.min(a, b) < SMALLEST_SIZE) return false;
  return Math.abs(a - b) <= Math.max(NEAR_BYTES, NEAR_SHARE * Math.max(a, b));
}

function bytesOf(text: string): number {
  const unit = UNITS[text.at(-1) ?? ''];
  return unit === undefined ? Number(text) : Number(text.slice(0, -1)) * unit;
}
