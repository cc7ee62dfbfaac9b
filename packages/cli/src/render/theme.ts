/** Colours and marks; without colour every mark is a plain character. */
import pc from 'picocolors';
import type { Look } from '../context.ts';

export interface Theme {
  readonly head: (text: string) => string;
  readonly good: (text: string) => string;
  readonly bad: (text: string) => string;
  readonly warn: (text: string) => string;
  readonly dim: (text: string) => string;
  readonly bold: (text: string) => string;
  readonly marks: {
    readonly good: string;
    readonly bad: string;
    readonly warn: string;
    readonly run: string;
    readonly bullet: string;
  };
}

const UNICODE = { good: '✓', bad: '✗', warn: '!', run: '…', bullet: '·' };
const ASCII = { good: '+', bad: 'x', warn: '!', run: '.', bullet: '-' };

export function createTheme(options: Look): Theme {
  const colors = pc.createColors(options.color && !options.plain);
  return {
    head: colors.bold,
    good: colors.green,
    bad: colors.red,
    warn: colors.yellow,
    dim: colors.dim,
    bold: colors.bold,
    marks: options.plain ? ASCII : UNICODE,
  };
}

/** Colour of a state word. */
export function paintState(theme: Theme, state: string): string {
  if (['running', 'up', 'done', 'ok', 'active', 'ready'].includes(state)) return theme.good(state);
  if (['failed', 'down', 'deleted', 'undone', 'inactive'].includes(state)) return theme.bad(state);
  if (['suspect', 'warning', 'cancelled', 'expired'].includes(state)) return theme.warn(state);
  return state;
}
