import { AgentConfig } from '@pxmgr/agent/config';
import { CLI_CONFIG } from '@pxmgr/cli/config';
import { CONFIG as CONTROLLER_CONFIG } from '@pxmgr/controller/config';
import { renderExample, renderReference } from '@pxmgr/kit/config/example';
import type { Table } from '@pxmgr/kit/config/field';
import { type Page, page } from './page.ts';

interface Program {
  readonly name: string;
  readonly file: string;
  readonly envPrefix: string;
  readonly options: Table;
}

const PROGRAMS: readonly Program[] = [
  { name: 'agent', file: '/etc/pxmgr/agent.yaml', envPrefix: 'PXMGR_AGENT_', options: AgentConfig },
  {
    name: 'controller',
    file: '/etc/pxmgr/controller.yaml',
    envPrefix: 'PXMGR_CONTROLLER_',
    options: CONTROLLER_CONFIG,
  },
  { name: 'cli', file: '~/.config/pxmgr/cli.yaml', envPrefix: 'PXMGR_', options: CLI_CONFIG },
];

/** The title is the page's own; what `renderReference` puts above its table is left out. */
function optionTable(program: Program): string {
  const text = renderReference(program.options, { title: '', envPrefix: program.envPrefix });
  return text.slice(text.indexOf('|')).trim();
}

function configPage(program: Program): Page {
  const title = `Settings of the ${program.name}`;
  const heading = `pxmgr ${program.name}: ${program.file}`;
  const example = renderExample(program.options, { title: heading, envPrefix: program.envPrefix });
  const body = [
    `File: \`${program.file}\`. A value is taken from the default, then the file, then the environment, then the flag; the last one wins.`,
    optionTable(program),
    '## Example file',
    `\`\`\`yaml\n${example.trimEnd()}\n\`\`\``,
  ].join('\n\n');
  return page(`docs/reference/config-${program.name}.md`, title, body);
}

/** One page per program, from its option table. */
export function renderConfigPages(): Page[] {
  return PROGRAMS.map(configPage);
}
