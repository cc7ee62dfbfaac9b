import { ChangeServiceClient, type FieldChange } from '@pxmgr/contract/controller';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { controllerOf } from '../../client.ts';
import { argument, command } from '../../command.ts';
import { renderPairs } from '../../render/table.ts';
import type { Theme } from '../../render/theme.ts';
import { exactTime } from '../../render/time.ts';
import { detail } from '../../result.ts';
import { themeOf } from '../page.ts';
import { objectText } from './list.ts';

/** The agent sends a keyed hash in place of a value that may be secret. */
const HIDDEN = /=hmac:[0-9a-f]+$/;

function shown(line: string): string {
  return line.replace(HIDDEN, '=(hidden)');
}

/** Of a value with several lines only those that differ. */
function fieldLines(field: FieldChange, theme: Theme): string[] {
  const before = field.before === '' ? [] : field.before.split('\n');
  const after = field.after === '' ? [] : field.after.split('\n');
  return [
    `  ${field.path}`,
    ...before.filter((line) => !after.includes(line)).map((line) => theme.bad(`    - ${shown(line)}`)),
    ...after.filter((line) => !before.includes(line)).map((line) => theme.good(`    + ${shown(line)}`)),
  ];
}

export const changeShow = command({
  path: 'change show',
  summary: 'Show one change field by field, before and after',
  args: [{ name: 'ID', help: 'number from "change list"' }],
  examples: ['pxmgr change show 42'],
  run: async (context, input) => {
    const text = argument(input, 0);
    if (!/^[1-9]\d{0,17}$/.test(text))
      throw new PxmError('PXM_USAGE', {
        problem: `"${text}" is not the number of a change`,
        command: 'pxmgr change show',
      });
    const { change } = await controllerOf(context).ask(ChangeServiceClient, 'getChange', { id: BigInt(text) });
    if (change === undefined) throw new PxmError('PXM_CHANGE_NOT_FOUND', { change: text });
    const theme = themeOf(context);
    const lines = [
      ...renderPairs([
        ['change', String(change.id)],
        ['object', `${objectText(change)} on ${change.nodeName}`],
        ['id', objectText(change).includes(change.objectId) ? '' : change.objectId],
        ['action', change.action],
        ['observed', exactTime(change.observedAt)],
        ['recorded', exactTime(change.recordedAt)],
        ['by', change.author],
        ['operation', change.operationId],
        ['task', change.upid],
        ['summary', change.summary],
      ]),
      ...change.fields.flatMap((field) => fieldLines(field, theme)),
    ];
    return detail({ noun: 'Change', name: text, lines, json: change });
  },
});
