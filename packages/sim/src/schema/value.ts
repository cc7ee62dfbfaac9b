/**
 * schema/: what Proxmox VE accepts, decided from data. `value.ts` checks one value, a set of parameters or a
 * `key=value,...` string against the rules upstream publishes (pve-common src/PVE/JSONSchema.pm check_prop,
 * check_object), `format.ts` the named string formats, `property-split.ts` and `property-string.ts` read and print the strings, `options.ts` the option parser, `command.ts` the
 * sub-commands. No rule of a single option is written here: the rules are the JSON files in packages/sim/data.
 */
import { checkFormat } from './format.ts';
import { addError, FieldError, type FieldErrors, type Parameter, type Properties, type Property } from './property.ts';
import { type PropertyValues, splitProperties } from './property-split.ts';
import { propertyFormat } from './schema-data.ts';

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

function isNumber(text: string): boolean {
  return /^[+-]?(?:\d+\.\d+|\d+\.|\.\d+|\d+)(?:[eE][+-]?\d+)?$/.test(text);
}

function checkText(text: string, property: Property, path: string): string | undefined {
  if (property.format !== undefined) {
    try {
      checkAnyFormat(property.format, text, path);
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

/** Keys and values as text, booleans as 0/1. Throws Error (structure) or FieldError (a value), text ending in a line feed. */
export function parsePropertyString(format: string, text: string, path = ''): PropertyValues {
  const rules = propertyFormat(format);
  const found = splitProperties(rules, text);
  const errors: FieldErrors = {};
  checkObject(found, { path, properties: rules }, errors);
  if (Object.keys(errors).length > 0) throw new FieldError('format error', errors);
  return found;
}

/** A named format, or a property string where the name starts with '@'; throws with the reason. */
export function checkAnyFormat(format: string, text: string, path: string): void {
  if (format.startsWith('@')) parsePropertyString(format.slice(1), text, path);
  else checkFormat(format, text);
}
