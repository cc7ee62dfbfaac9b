/**
 * schema/: what Proxmox VE accepts, decided from data. `value.ts` checks one value or a set of parameters against the
 * rules upstream publishes (pve-common src/PVE/JSONSchema.pm check_prop, check_object), `format.ts` the named string
 * formats, `property-string.ts` the `key=value,...` strings, `options.ts` the option parser, `command.ts` the
 * sub-commands. No rule of a single option is written here: the rules are the JSON files in packages/sim/data.
 */
import { checkFormat } from './format.ts';

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
}

export type Properties = Readonly<Record<string, Property>>;
export type Parameter = string | number | readonly string[];
export type Parameters = Record<string, Parameter>;

/** Reasons by field; the first reason of a field comes first, further ones follow after a literal `\n`. */
export type FieldErrors = Record<string, string>;

/** Several fields are wrong. `code` 400 when it is a call's parameters, none inside a property string. */
export class FieldError extends Error {
  readonly errors: FieldErrors;
  constructor(message: string, errors: FieldErrors) {
    const lines = Object.keys(errors)
      .sort()
      .map((field) => `${field}: ${errors[field] ?? ''}\n`);
    super(`${message}\n${lines.join('')}`);
    this.name = 'FieldError';
    this.errors = errors;
  }
}

export function addError(errors: FieldErrors, path: string, text: string): void {
  const field = path === '' ? '_root' : path;
  errors[field] = errors[field] === undefined ? text : `${errors[field]}\\n${text}`;
}

export interface ObjectCheck {
  readonly path: string;
  readonly properties: Properties;
  /** Keys outside the properties are refused unless this is set. */
  readonly mayHaveMore?: boolean;
  /** The property of a key, for numbered options; default: looked up. */
  readonly lookUp?: (key: string) => Property | undefined;
}

export function checkObject(
  values: Readonly<Record<string, Parameter>>,
  check: ObjectCheck,
  errors: FieldErrors,
): void {
  const at = (key: string): string => (check.path === '' ? key : `${check.path}.${key}`);
  const propertyOf =
    check.lookUp ?? ((key: string) => (Object.hasOwn(check.properties, key) ? check.properties[key] : undefined));
  for (const [key, property] of Object.entries(check.properties)) {
    if (!key.endsWith('[n]') && values[key] === undefined) checkMissing(property, at(key), errors);
  }
  for (const [key, value] of Object.entries(values)) {
    const property = propertyOf(key);
    if (property === undefined) {
      if (check.mayHaveMore !== true)
        addError(
          errors,
          at(key),
          'property is not defined in schema and the schema does not allow additional properties',
        );
      continue;
    }
    checkValue(value, property, { path: at(key), errors });
    if (property.requires !== undefined && values[property.requires] === undefined) {
      addError(errors, at(property.requires), `missing property required by '${at(key)}'`);
    }
  }
}

function checkMissing(property: Property, path: string, errors: FieldErrors): void {
  if (property.optional !== 1 && property.alias === undefined)
    addError(errors, path, 'property is missing and it is not optional');
}

export function checkValue(value: Parameter, property: Property, at: { path: string; errors: FieldErrors }): void {
  if (property.alias !== undefined || typeof value === 'object') return;
  const text = String(value);
  const reason = checkType(text, property.type) ?? checkText(text, property, at.path) ?? checkRange(text, property);
  if (reason !== undefined) {
    addError(at.errors, at.path, reason);
    return;
  }
  if (property.enum !== undefined && !property.enum.map(String).includes(text)) {
    addError(
      at.errors,
      at.path,
      `value '${text}' does not have a value in the enumeration '${property.enum.join(', ')}'`,
    );
  }
}

function checkType(text: string, type: string | undefined): string | undefined {
  const isRight =
    type === 'boolean'
      ? text === '0' || text === '1'
      : type === 'integer'
        ? /^[+-]?\d+$/.test(text)
        : type === 'number'
          ? isNumber(text)
          : true;
  return isRight ? undefined : `type check ('${type ?? ''}') failed - got '${text}'`;
}

export function isNumber(text: string): boolean {
  return /^[+-]?(?:\d+\.\d+|\d+\.|\.\d+|\d+)(?:[eE][+-]?\d+)?$/.test(text);
}

function checkText(text: string, property: Property, path: string): string | undefined {
  if (property.format !== undefined) {
    try {
      checkFormat(property.format, text, path);
    } catch (err) {
      return `invalid format - ${err instanceof Error ? err.message : String(err)}`;
    }
  }
  if (property.pattern !== undefined && !new RegExp(`^(?:${property.pattern})$`).test(text))
    return 'value does not match the regex pattern';
  const length = Array.from(text).length; // characters, as Perl counts decoded text
  if (property.maxLength !== undefined && length > property.maxLength)
    return `value may only be ${property.maxLength} characters long`;
  if (property.minLength !== undefined && length < property.minLength)
    return `value must be at least ${property.minLength} characters long`;
  return undefined;
}

function checkRange(text: string, property: Property): string | undefined {
  if (!isNumber(text)) return undefined;
  if (property.maximum !== undefined && Number(text) > property.maximum)
    return `value must have a maximum value of ${property.maximum}`;
  if (property.minimum !== undefined && Number(text) < property.minimum)
    return `value must have a minimum value of ${property.minimum}`;
  return undefined;
}

/** The words a boolean may be on the command line and in config files; undefined for anything else. */
export function parseBoolean(text: string): 0 | 1 | undefined {
  if (/^(?:1|on|yes|true)$/i.test(text)) return 1;
  if (/^(?:0|off|no|false)$/i.test(text)) return 0;
  return undefined;
}
