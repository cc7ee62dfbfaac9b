/** Shape of one rule of the data files, and how values found wrong are told. */

/** One property as the data files give it. `format` that starts with '@' names a property string in formats.json. */
export interface Property {
  readonly type?: string;
  readonly optional?: number;
  readonly enum?: readonly (string | number)[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly requires?: string;
  readonly format?: string;
  readonly alias?: string;
  readonly keyAlias?: string;
  readonly default_key?: number;
  /** A secret that is asked for where its option has no value: twice, or once. */
  readonly interactive?: 'confirmed' | 'once';
}

export type Properties = Readonly<Record<string, Property>>;
export type Parameter = string | number | readonly string[];
export type Parameters = Record<string, Parameter>;

/** Reasons by field; the first reason of a field comes first, further ones follow after a literal `\n`. */
export type FieldErrors = Record<string, string>;

/** Several fields are wrong. `code` 400 when it is a call's parameters, none inside a property string. */
export class FieldError extends Error {
  readonly errors: FieldErrors;
  /** What a program ends with. */
  readonly status: number;
  /** A call's parameters are wrong, not the parts of a property string. */
  readonly isOfCall: boolean;
  constructor(message: string, errors: FieldErrors, status = 255) {
    const lines = Object.keys(errors)
      .sort()
      .map((field) => `${field}: ${errors[field] ?? ''}\n`);
    super(`${message}\n${lines.join('')}`);
    this.name = 'FieldError';
    this.errors = errors;
    this.status = status;
    this.isOfCall = message.startsWith('400 ');
  }
}

export function addError(errors: FieldErrors, path: string, text: string): void {
  const field = path === '' ? '_root' : path;
  errors[field] = errors[field] === undefined ? text : `${errors[field]}\\n${text}`;
}

/** The words a boolean may be on the command line and in config files; undefined for anything else. */
export function parseBoolean(text: string): 0 | 1 | undefined {
  if (/^(?:1|on|yes|true)$/i.test(text)) return 1;
  if (/^(?:0|off|no|false)$/i.test(text)) return 0;
  return undefined;
}
