/** What the verbs of this room share: how they refuse, and the forms of their arguments. */
import { ToolError } from '../call/tool.ts';

export type Pairs = readonly (readonly [name: string, value: string])[];

export interface FromTo {
  readonly from: string;
  readonly to: string;
}

/** 128 and SIGABRT: how a shell tells of a program that ends itself over an error that it does not know. */
const ABORTED = 134;

export function abortOn(action: string, problem: string): never {
  return refuse(`internal error: ${action}: ${problem}`, ABORTED);
}

export function refuse(text: string, status = 1): never {
  throw new ToolError(`${text}\n`, status);
}
