import { Operation, OperationEvent, OperationState } from '@pxmgr/contract/common';
import { Evaluation } from '@pxmgr/contract/controller';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { quoteWord } from '@pxmgr/kit/exec/command';
import { describe, expect, it } from 'vitest';
import { detail, list } from '../result.ts';
import { renderError } from './error.ts';
import { renderEvaluation } from './explanation.ts';
import { renderHostCommand } from './host-command.ts';
import { plain } from './json.ts';
import { renderOperation } from './operation.ts';
import { renderResult } from './output.ts';
import { Progress } from './progress.ts';
import { renderPairs, renderTable } from './table.ts';
import { createTheme } from './theme.ts';
import { exactTime, relativeTime } from './time.ts';
import { cellWidth, cut, wrap } from './width.ts';

const theme = createTheme({ color: false, plain: true });
const NOW = new Date('2026-11-20T12:00:00Z');

describe('tables', () => {
  const columns = [
    { head: 'ID', align: 'right' as const, value: (row: { id: number }) => String(row.id) },
    { head: 'NAME', shrink: 1, value: (row: { name: string }) => row.name },
    { head: 'MORE', wide: true, value: () => 'x' },
  ];
  const rows = [
    { id: 7, name: 'short' },
    { id: 1234, name: '東京 a rather long name that will not fit' },
  ];

  it('have no borders, align numbers right, and hide wide columns', () => {
    expect(renderTable(rows, columns, { width: undefined, wide: false, head: (text) => text })).toEqual([
      '  ID  NAME',
      '   7  short',
      '1234  東京 a rather long name that will not fit',
    ]);
  });

  it('stay within the terminal', () => {
    const lines = renderTable(rows, columns, { width: 24, wide: true, head: (text) => text });
    for (const line of lines) expect(cellWidth(line)).toBeLessThanOrEqual(24);
    expect(lines[2]).toContain('…');
  });

  it('show pairs without empty values', () => {
    expect(
      renderPairs([
        ['a', '1'],
        ['long', '2'],
        ['none', ''],
      ]),
    ).toEqual(['a     1', 'long  2']);
  });
});

describe('width', () => {
  it('counts cells, not characters', () => {
    expect(cellWidth('a\u0301')).toBe(1);
    expect(cellWidth('世界')).toBe(4);
    expect(cut('世界地図', 5)).toBe('世界…');
    expect(wrap('one two three', 7)).toEqual(['one two', 'three']);
  });
});

describe('formats', () => {
  const result = list({
    noun: 'Thing',
    rows: [{ id: 5n, at: NOW, source: { $case: 'bind', value: '/x' } }],
    columns: [{ head: 'ID', value: (row) => String(row.id) }],
    name: (row) => String(row.id),
    json: (row) => row,
    empty: 'no things',
    notes: ['a note'],
  });
  const look = { color: false, plain: true };

  it('give programs raw numbers, RFC 3339 times and a version', () => {
    const { out, notes } = renderResult(result, { format: 'json', look, width: 80 });
    expect(JSON.parse(out)).toEqual({
      apiVersion: 'pxmgr/v1',
      kind: 'ThingList',
      items: [{ id: 5, at: '2026-11-20T12:00:00.000Z', source: { bind: '/x' } }],
    });
    expect(notes).toEqual([]);
    expect(JSON.parse(renderResult(result, { format: 'ndjson', look, width: 80 }).out)).toMatchObject({ id: 5 });
    expect(renderResult(result, { format: 'yaml', look, width: 80 }).out).toContain('apiVersion: pxmgr/v1');
    expect(renderResult(result, { format: 'name', look, width: 80 }).out).toBe('5\n');
  });

  it('say on stderr that there is nothing', () => {
    const empty = renderResult(
      list({ noun: 'Thing', rows: [], columns: [], name: () => '', json: () => null, empty: 'no things' }),
      { format: 'table', look, width: 80 },
    );
    expect(empty).toEqual({ out: '', notes: ['no things'], exit: 0 });
  });

  it('keep an exit code beside complete data', () => {
    expect(
      renderResult(detail({ noun: 'X', name: 'x', lines: ['a'], json: {}, exit: 7 }), {
        format: 'table',
        look,
        width: 80,
      }),
    ).toEqual({ out: 'a\n', notes: [], exit: 7 });
  });

  it('keep numbers that do not fit a double as text', () => {
    expect(plain(2n ** 60n)).toBe('1152921504606846976');
  });
});

describe('errors', () => {
  it('name code, cause and hint in at most four lines', () => {
    const lines = renderError(
      new PxmError(
        'PXM_GUEST_LOCKED',
        { vmid: '101', node: 'pve2', lock: 'backup' },
        { cause: new Error('pct said no') },
      ),
      theme,
    );
    expect(lines).toEqual([
      'error[PXM_GUEST_LOCKED]: container 101 on pve2 is locked (backup)',
      '  cause: pct said no',
      expect.stringMatching(/^ {2}hint: {2}wait for the task/),
    ]);
  });

  it('list every problem of an input on its own line', () => {
    const lines = renderError(
      new PxmError('PXM_INPUT_INVALID', { count: '2', problems: '--name: bad\n--memory: worse' }),
      theme,
    );
    expect(lines.slice(0, 3)).toEqual([
      'error[PXM_INPUT_INVALID]: the request has 2 problems:',
      '  - --name: bad',
      '  - --memory: worse',
    ]);
  });
});

describe('host commands', () => {
  it('can be pasted into a shell', () => {
    expect(quoteWord("it's")).toBe("'it'\\''s'");
    expect(renderHostCommand({ argv: ['pct', 'create', '100', 'a b'], purpose: '', internal: false })).toBe(
      "pct create 100 'a b'",
    );
    expect(renderHostCommand({ argv: [], purpose: 'edit the config', internal: true })).toBe('(edit the config)');
  });
});

describe('times', () => {
  it('are relative in tables and exact elsewhere', () => {
    expect(relativeTime(new Date(NOW.getTime() - 65_000), NOW)).toBe('1m ago');
    expect(relativeTime(new Date(NOW.getTime() + 65_000), NOW)).toBe('in 1m');
    expect(relativeTime(undefined, NOW)).toBe('-');
    expect(exactTime(NOW)).toBe('2026-11-20 12:00:00Z');
  });
});

describe('an explanation', () => {
  it('names the winner with its scores and every other node with its reasons', () => {
    const evaluation = Evaluation.fromPartial({
      summary: 'pve2 is the only node that fits',
      candidates: [
        {
          nodeName: 'pve1',
          feasible: false,
          reasons: [
            { filter: 'gpu', text: 'no amd GPU' },
            { filter: 'dataset', text: 'no dataset tank/media' },
          ],
        },
        {
          nodeName: 'pve2',
          feasible: true,
          rank: 1,
          total: 3.5,
          scores: [{ name: 'memory', weight: 2, value: 0.5, text: '8 GiB free' }],
        },
      ],
    });
    const text = renderEvaluation(evaluation, { theme, width: 80 }, 'chosen').join('\n');
    expect(text).toMatch(
      /pve2 {2}\+ chosen {2}total 3\.50[\s\S]*memory[\s\S]*pve1 {2}x no[\s\S]*gpu: no amd GPU[\s\S]*dataset: no dataset/,
    );
  });
});

describe('progress', () => {
  const event = (event: OperationEvent['event']): OperationEvent =>
    OperationEvent.fromPartial({ operationId: 'op', event });
  const step = (state: OperationState): OperationEvent =>
    event({
      $case: 'stepChanged',
      value: {
        index: 1,
        name: 'pull',
        title: 'pull image',
        state,
        startedAt: NOW,
        endedAt: new Date(NOW.getTime() + 1500),
        detail: '',
        agentOperationId: '',
      },
    });

  it('is plain lines without a terminal', () => {
    let out = '';
    const progress = new Progress({ theme, live: undefined, commands: true, write: (text) => void (out += text) });
    progress.event(step(OperationState.OPERATION_STATE_RUNNING));
    for (const done of [0n, 10n, 30n, 50n, 100n])
      progress.event(event({ $case: 'bytes', value: { label: 'layers', done, total: 100n } }));
    progress.event(
      event({
        $case: 'command',
        value: {
          command: { argv: ['pct', 'start', '100'], purpose: '', internal: false },
          exitCode: 0,
          signal: '',
          durationMs: 0,
          finished: false,
        },
      }),
    );
    progress.event(step(OperationState.OPERATION_STATE_DONE));
    progress.end();
    expect(out.split('\n')).toEqual([
      '. pull image',
      '  layers 0 B of 100 B (0 %)',
      '  layers 30 B of 100 B (30 %)',
      '  layers 50 B of 100 B (50 %)',
      '  layers 100 B of 100 B (100 %)',
      '  $ pct start 100',
      '+ pull image  1.5s',
      '',
    ]);
  });

  it('is one live line on a terminal, taken away at the end', () => {
    let out = '';
    const progress = new Progress({ theme, live: 30, commands: false, write: (text) => void (out += text) });
    progress.event(step(OperationState.OPERATION_STATE_RUNNING));
    progress.event(event({ $case: 'log', value: { stream: 'note', text: 'something' } }));
    progress.end();
    expect(out).toContain('\r\u001b[K. pull image');
    expect(out.endsWith('\r\u001b[K')).toBe(true);
  });
});

describe('an operation', () => {
  it('shows its state, steps, problem and what recovery did', () => {
    const text = renderOperation(
      Operation.fromPartial({
        id: 'op-1',
        title: 'create container web',
        state: OperationState.OPERATION_STATE_FAILED,
        recovery: 'undone',
        problem: { code: 'PXM_STORAGE_FULL', message: 'no room' },
        steps: [{ index: 1, title: 'pull', state: OperationState.OPERATION_STATE_DONE }],
      }),
      theme,
      NOW,
    ).join('\n');
    expect(text).toMatch(/state +failed/);
    expect(text).toMatch(/recovery +undone/);
    expect(text).toMatch(/PXM_STORAGE_FULL: no room/);
    expect(text).toMatch(/1\. pull {2}done/);
  });
});
