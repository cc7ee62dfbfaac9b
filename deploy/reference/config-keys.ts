import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { renderExample, renderReference } from '@pxmgr/kit/config/example';
import type { Table } from '@pxmgr/kit/config/field';
import { type Page, page } from './page.ts';

const PROGRAMS = [
  { name: 'agent', file: '/etc/pxmgr/agent.yaml', envPrefix: 'PXMGR_AGENT_' },
  { name: 'controller', file: '/etc/pxmgr/controller.yaml', envPrefix: 'PXMGR_CONTROLLER_' },
  { name: 'cli', file: '~/.config/pxmgr/cli.yaml', envPrefix: 'PXMGR_' },
] as const;

type Program = (typeof PROGRAMS)[number];

/** The option table of a program is the export of its config.ts that ends in _CONFIG. */
async function optionTable(root: string, program: Program): Promise<Table | undefined> {
  const file = join(root, 'packages', program.name, 'src/config.ts');
  if (!existsSync(file)) return undefined;
  const exported = (await import(pathToFileURL(file).href)) as Readonly<Record<string, unknown>>;
  const name = Object.keys(exported).find((key) => key.endsWith('_CONFIG'));
  return name === undefined ? undefined : (exported[name] as Table);
}

function configPage(program: Program, options: Table): Page {
  const title = `Settings of the ${program.name}`;
  const reference = renderReference(options, { title, envPrefix: program.envPrefix }).split('\n').slice(2).join('\n');
  const example = renderExample(options, {
    title: `pxmgr ${program.name}: ${program.file}`,
    envPrefix: program.envPrefix,
  });
  const body = [
    `File: \`${program.file}\`. A value is taken from the default, then the file, then the environment, then the flag; the last one wins.`,
    reference.trim(),
    '## Example file',
    `\`\`\`yaml\n${example.trimEnd()}\n\`\`\``,
  ].join('\n\n');
  return page(`docs/reference/config-${program.name}.md`, title, body);
}

/** One page per program whose option table exists. */
export async function renderConfigPages(root: string): Promise<Page[]> {
  const made = await Promise.all(
    PROGRAMS.map(async (program) => {
      const options = await optionTable(root, program);
      return options === undefined ? [] : [configPage(program, options)];
    }),
  );
  return made.flat();
}
