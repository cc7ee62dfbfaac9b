import { stringify } from 'yaml';
import { type Field, type FieldNames, namesOf, type Table } from './field.ts';

/** The commented example file: every option with its description and default, commented out unless it is required. */
export function renderExample(table: Table, options: { title: string; envPrefix: string }): string {
  const parts = namesOf(table, options.envPrefix).map((name) => {
    const option = table[name.key] as Field;
    const notes = [
      ...wrap(option.description),
      ...(option.secret === true ? ['A file that holds the secret.'] : []),
      ...(option.reload === true ? ['Taken over on SIGHUP.'] : []),
    ];
    const isRequired = option.default === undefined && !option.type.safeParse(undefined).success;
    const line = `${name.file}: ${sample(option, name)}`;
    return [...notes.map((note) => `# ${note}`), isRequired ? line : `#${line}`].join('\n');
  });
  return `${wrap(options.title)
    .map((line) => `# ${line}`)
    .join('\n')}\n\n${parts.join('\n\n')}\n`;
}

/** The reference page: one row per option. */
export function renderReference(table: Table, options: { title: string; envPrefix: string }): string {
  const rows = namesOf(table, options.envPrefix).map((name) => {
    const option = table[name.key] as Field;
    const value = option.default === undefined ? '' : `\`${scalar(option.default)}\``;
    const marks = [option.secret === true ? 'secret' : '', option.reload === true ? 'reload' : '']
      .filter((mark) => mark !== '')
      .join(', ');
    return `| \`${name.file}\` | ${value} | \`${name.env}\` | \`${name.flag}\` | ${marks} | ${option.description.replaceAll('|', '\\|')} |`;
  });
  const head = ['| Key | Default | Environment | Flag | Marks | Meaning |', '| --- | --- | --- | --- | --- | --- |'];
  return `# ${options.title}\n\n${[...head, ...rows].join('\n')}\n`;
}

/** One line per option for `--help`. */
export function helpLines(table: Table, envPrefix: string): { flag: string; text: string }[] {
  return namesOf(table, envPrefix).map((name) => {
    const option = table[name.key] as Field;
    const fallback = option.default === undefined ? '' : scalar(option.default);
    const value = fallback === '' || fallback === '""' || fallback === '[]' ? '' : ` (default ${fallback})`;
    return { flag: `${name.flag} VALUE`, text: `${option.description}${value} [${name.env}]` };
  });
}

function sample(option: Field, name: FieldNames): string {
  if (option.default !== undefined) return scalar(option.default);
  return option.example ?? (option.secret === true ? `/etc/pxmgr/${name.file.replace(/_file$/, '')}` : '');
}

function scalar(value: unknown): string {
  return stringify(value, { collectionStyle: 'flow', lineWidth: 0 }).trim();
}

function wrap(text: string, width = 100): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + word.length + 1 > width) {
      lines.push(line);
      line = '';
    }
    line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
