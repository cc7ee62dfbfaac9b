/** What the verbs of this room share: how they refuse, and the forms of their arguments. */
import { ToolError } from '../call/tool.ts';

export type Pairs = readonly (readonly [name: string, value: string])[];

export interface FromTo {
  readonly from: string;
  readonly to: string;
}

export function refuse(text: string, status = 1): never {
  throw new ToolError(`${text}\n`, status);
}
