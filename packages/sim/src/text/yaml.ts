/** An answer in YAML, as upstream's YAML::XS writes it: keys sorted, lists at the depth of their key. */

const WORDS = new Set(['', '~', 'true', 'false', 'null']);
/** Where plain text could be taken for something else. */
const NEEDS_QUOTES = /^[\s\-?:,[\]{}#&*!|>'"%@`]|: |:$| #|\s$/;

export function yamlText(value: unknown): string {
  return `---${isFull(value) ? `\n${block(value, '')}` : ` ${scalar(value)}\n`}`;
}

function isFull(value: unknown): value is object {
  return typeof value === 'object' && value !== null && Object.keys(value).length > 0;
}

function block(value: object, indent: string): string {
  if (Array.isArray(value)) return value.map((item: unknown) => `${indent}- ${inList(item, indent)}`).join('');
  const keys = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return keys.map(([key, inner]) => `${indent}${scalar(key)}:${inObject(inner, indent)}`).join('');
}

/** What stands in a list begins behind its dash. */
function inList(item: unknown, indent: string): string {
  return isFull(item) ? block(item, `${indent}  `).slice(indent.length + 2) : `${scalar(item)}\n`;
}

function inObject(inner: unknown, indent: string): string {
  if (!isFull(inner)) return ` ${scalar(inner)}\n`;
  return `\n${block(inner, Array.isArray(inner) ? indent : `${indent}  `)}`;
}

function scalar(value: unknown): string {
  if (value === null || value === undefined) return '~';
  if (typeof value === 'object') return Array.isArray(value) ? '[]' : '{}';
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  if (text.includes('\n')) return JSON.stringify(text);
  return WORDS.has(text) || NEEDS_QUOTES.test(text) ? `'${text.replaceAll("'", "''")}'` : text;
}
