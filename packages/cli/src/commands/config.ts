import { existsSync } from 'node:fs';
import { renderExample } from '@pxmgr/kit/config/example';
import type { ShownOption } from '@pxmgr/kit/config/origin';
import { command } from '../command.ts';
import { CLI_CONFIG, ENV_PREFIX } from '../config.ts';
import type { Context } from '../context.ts';
import { list, text } from '../result.ts';

function fileText(context: Context): string {
  const { file } = context.configModel;
  return existsSync(file) ? file : `${file} (not there, so defaults hold)`;
}

export const configShow = command({
  path: 'config show',
  summary: 'Show the settings of this program and where each came from',
  examples: ['pxmgr config show', 'PXMGR_OUTPUT=json pxmgr config show -o table'],
  run: async (context) =>
    await Promise.resolve(
      list<ShownOption>({
        noun: 'Setting',
        rows: context.configModel.options,
        columns: [
          { head: 'KEY', value: (row) => row.key },
          { head: 'VALUE', shrink: 1, value: (row) => row.value || '-' },
          { head: 'FROM', value: (row) => row.origin.where },
        ],
        name: (row) => row.key,
        json: (row) => ({ key: row.key, value: row.value, origin: row.origin }),
        empty: 'no settings',
        notes: [`file: ${fileText(context)}`],
      }),
    ),
});

export const configCheck = command({
  path: 'config check',
  summary: 'Check the settings; every problem is named with its place',
  examples: ['pxmgr config check'],
  // A wrong configuration never gets here: main refuses it with all its problems.
  run: async (context) => await Promise.resolve(text(`the configuration is valid; file: ${fileText(context)}`)),
});

export const configExample = command({
  path: 'config example',
  summary: 'Print a commented example of the settings file',
  examples: ['pxmgr config example > ~/.config/pxmgr/cli.yaml'],
  run: async () =>
    await Promise.resolve(
      text(
        renderExample(CLI_CONFIG, {
          title: 'pxmgr: settings of the command line tool',
          envPrefix: ENV_PREFIX,
        }).trimEnd(),
      ),
    ),
});
