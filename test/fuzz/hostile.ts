/** What people, other programs and attackers put where a value belongs. */
import fc from 'fast-check';

/** Words that mean something to a shell, an option parser, a config file, a table, a path or a terminal. */
const BARBS = [
  ...[
    '-',
    '--',
    '-x',
    '--help',
    '--force=1',
    '-rf',
    '=',
    'a=b',
    ',',
    ',mp=/etc',
    ';',
    '|',
    '$(id)',
    '`id`',
    '&&',
    '*',
    '~',
  ],
  ...[
    '\n',
    '\r',
    '\r\n',
    '\0',
    '\t',
    '\u001b[31m',
    '\u009b',
    '\u007f',
    '\u0085',
    '\u2028',
    '\u202e',
    '\uFEFF',
    ' ',
    '\u00a0',
  ],
  ...[
    '/',
    '..',
    '../..',
    './',
    '//',
    '/etc/passwd',
    '\\',
    '%',
    '%0A',
    '%zz',
    '#',
    '[',
    ']',
    '[x]',
    '{}',
    "'",
    '"',
    '""',
    "''",
  ],
  ...[':', '@', '@{', '!', '?', '<', '>', '(', ')', '^', '+', '.', '_', 'é', '日本', '😀', 'İ', 'ſ'],
  ...['__proto__', 'constructor', 'toString', 'null', 'NaN', '-0', '1e9', '0x10', '007', '18446744073709551616', '١٢٣'],
  ...['lxc.hook.start', '\nlxc.hook.pre-start: /bin/x', 'password', 'true', '00000000', 'FFFFFFFFF'],
];

const barb = fc.constantFrom(...BARBS);
const noise = fc.string({ unit: 'binary', maxLength: 12 });
const ascii = fc.string({ unit: 'binary-ascii', maxLength: 12 });

/** Anything at all, well-formed Unicode. */
export const hostile: fc.Arbitrary<string> = fc.oneof(
  { weight: 3, arbitrary: fc.array(fc.oneof(barb, ascii, noise), { maxLength: 6 }).map((parts) => parts.join('')) },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 80 }) },
);

/** Something right with something put in, taken out, doubled or cut off: gets further than noise does. */
export function near(...samples: readonly string[]): fc.Arbitrary<string> {
  const edit = fc.record({ at: fc.nat(), length: fc.nat(4), put: fc.oneof(barb, ascii, fc.constant('')) });
  const edited = fc
    .tuple(fc.constantFrom(...samples), fc.array(edit, { maxLength: 3 }))
    .map(([sample, edits]) =>
      edits.reduce((text, { at, length, put }) => {
        const start = at % (text.length + 1);
        return text.slice(0, start) + put + text.slice(start + length);
      }, sample),
    )
    // Cutting through a pair of surrogates makes text that no file and no argv can hold.
    .map((text) => text.replace(/\p{Surrogate}/gu, '\uFFFD'));
  return fc.oneof({ weight: 3, arbitrary: edited }, { weight: 1, arbitrary: hostile });
}

/** Lines and blocks of such text. */
export function nearLines(...samples: readonly string[]): fc.Arbitrary<string> {
  return fc.array(near(...samples), { maxLength: 6 }).map((lines) => lines.join('\n'));
}

/** JSON of any shape, of the shapes given with something else in a place, and text that is no JSON. */
export function nearJson(...samples: readonly unknown[]): fc.Arbitrary<string> {
  const texts = samples.map((sample) => JSON.stringify(sample));
  return fc.oneof(
    {
      weight: 2,
      arbitrary: fc
        .tuple(fc.constantFrom(...samples), fc.nat(), fc.jsonValue())
        .map(([sample, at, put]) => JSON.stringify(swapped(sample, at, put))),
    },
    { weight: 1, arbitrary: fc.json() },
    { weight: 1, arbitrary: near(...texts) },
  );
}

/** The value with one of its parts replaced. */
function swapped(value: unknown, at: number, put: unknown): unknown {
  if (typeof value !== 'object' || value === null) return put;
  const keys = Object.keys(value);
  const key = keys[at % (keys.length + 1)];
  if (key === undefined) return put;
  const copy = (Array.isArray(value) ? [...(value as unknown[])] : { ...value }) as Record<string, unknown>;
  copy[key] = at % 3 === 0 ? put : swapped(copy[key], Math.floor(at / (keys.length + 1)), put);
  return copy;
}

/** Long texts on which a careless pattern takes for ever: nobody times them, the limit of the test does. */
export function giants(): string[] {
  const units = [
    'a',
    'A-',
    '-',
    '/',
    './',
    '.',
    ',',
    '=',
    ':',
    '"',
    "'",
    '\\',
    '\t',
    '\n',
    ' ',
    '[',
    '%',
    '#',
    '0',
    '_',
    'a=b,',
    'a\n',
    '\u0000',
    'é',
  ];
  const heads = ['', 'UPID:', 'pxj1.', 'lxc.a:', '/', 'a:', '[', '"', 'sha256:'];
  return heads.flatMap((head) => units.map((unit) => `${head}${unit.repeat(100_000 / unit.length)}`));
}
