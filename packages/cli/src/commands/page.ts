/** How wide and how colourful a page may be on the data stream. */
import type { Context } from '../context.ts';
import type { Page } from '../render/explanation.ts';
import { createTheme, type Theme } from '../render/theme.ts';

export function themeOf(context: Context): Theme {
  return createTheme(context.look);
}

export function pageOf(context: Context): Page {
  return { theme: themeOf(context), width: context.streams.outWidth };
}
