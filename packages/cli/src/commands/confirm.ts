/** The question before something is destroyed. Only a clear yes lets it go on. */
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { toPxmError } from '@pxmgr/kit/error/to-problem';
import type { OptionDefinition } from '../command.ts';
import type { Context } from '../context.ts';

export const YES_OPTION = {
  kind: 'flag',
  flag: 'yes',
  short: 'y',
  help: 'do not ask',
} as const satisfies OptionDefinition;

export interface Confirmation {
  /** "Destroy container web and its volumes?" */
  readonly question: string;
  /** For the hint: "pxmgr container destroy". */
  readonly command: string;
  /** What would happen, shown above the question. */
  readonly effect: () => Promise<readonly string[]>;
}

/** Errors: PXM_USAGE without a terminal, PXM_CANCELLED for any other answer than yes. */
export async function confirm(context: Context, { question, command, effect }: Confirmation): Promise<void> {
  if (context.ask === undefined) {
    throw new PxmError(
      'PXM_USAGE',
      { problem: `there is no terminal to ask on: ${question}`, command },
      { hint: 'add --yes if you mean it, or --dry-run to see what would happen' },
    );
  }
  context.streams.err(`${(await effect()).join('\n')}\n`);
  if (/^y(es)?$/i.test((await answer(context, context.ask, question)).trim())) return;
  throw new PxmError('PXM_CANCELLED', { what: 'the command' }, { hint: 'nothing was changed' });
}

/** Ctrl-C at the question is a no. */
async function answer(context: Context, ask: NonNullable<Context['ask']>, question: string): Promise<string> {
  try {
    return await ask(`${question} [y/N] `);
  } catch (error) {
    if (toPxmError(error).code !== 'PXM_CANCELLED') throw error;
    context.streams.err('\n');
    return 'no';
  }
}
