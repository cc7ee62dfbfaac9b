import { type Check, FleetServiceClient } from '@pxmgr/contract/controller';
import { controllerOf } from '../client.ts';
import { command } from '../command.ts';
import { EXIT_CHECK_FAILED } from '../exit.ts';
import type { Theme } from '../render/theme.ts';
import { detail } from '../result.ts';
import { themeOf } from './page.ts';

function mark(check: Check, theme: Theme): string {
  if (check.status === 'ok') return theme.good(theme.marks.good);
  if (check.status === 'failed') return theme.bad(theme.marks.bad);
  return theme.warn(check.status === 'warning' ? theme.marks.warn : theme.marks.bullet);
}

function checkLines(check: Check, theme: Theme): string[] {
  const lines = [`${mark(check, theme)} ${check.title}${check.detail === '' ? '' : `: ${check.detail}`}`];
  if (check.status !== 'ok') lines.push(theme.dim(`  ${check.code} ${check.status}`));
  if (check.status !== 'ok' && check.fix !== '') lines.push(`  ${theme.dim('fix:')} ${check.fix}`);
  return lines;
}

export const selftest = command({
  path: 'selftest',
  summary: 'Check controller, message bus, agents, clocks and tools; says how to mend what is wrong',
  description: 'Exit code 0 when every check passed, 4 when at least one failed.',
  examples: ['pxmgr selftest'],
  run: async (context) => {
    const { checks } = await controllerOf(context).askSlow(FleetServiceClient, 'runSelftest', {});
    const theme = themeOf(context);
    const failed = checks.filter((check) => check.status === 'failed').length;
    const lines = [...checks.flatMap((check) => checkLines(check, theme)), `${checks.length} checks, ${failed} failed`];
    return detail({
      noun: 'Selftest',
      name: 'selftest',
      lines,
      json: checks,
      exit: failed === 0 ? 0 : EXIT_CHECK_FAILED,
    });
  },
});
