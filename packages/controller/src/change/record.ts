/**
 * change/: what differs between two observations, in words for people. Pure; writing the rows is the inventory's
 * matter (same transaction as the object), reading them back is store/changes.ts. Knows documents, not messages.
 */
import type { ChangeAction, ChangeDraft, FieldDiff, Observation } from '../domain/change.ts';
import { type FlatDocument, flattenDocument } from './flatten.ts';

/** Figures that move by themselves: alone they are no change, the metrics carry them. */
const MOVING = new Set(['storage.available_bytes', 'dataset.used_bytes', 'dataset.available_bytes']);

const ENVIRONMENT = /^(?:container|vm)\.config\.env$/;
const CONFIG_OF_GUEST = /^(?:container|vm)\.config\./;
/** Read from the config by the agent: when the config differs, its keys tell the same. */
const DERIVED_OF_GUEST = /^(?:container|vm)\.(?!config\.|status$|addresses$|pending$|snapshots$|image_)/;

/** Newest-first lists show one line; more fields than these are only counted there. */
const SUMMARY_FIELDS = 3;
/** And no longer than this, so that the line fits a terminal. */
const SUMMARY_MAX = 120;
const MORE_MAX = ' and 99 more'.length;
/** Longer values are cut in the record: a change row is history, not a backup. */
const VALUE_MAX = 2000;

/** The change between two observations of one object; undefined when nothing worth recording differs. */
export function describeChange(observation: Observation): ChangeDraft | undefined {
  const { before, after, cause } = observation;
  const action: ChangeAction = before === undefined ? 'created' : after === undefined ? 'deleted' : 'updated';
  const flatBefore = flattenDocument(before);
  const flatAfter = flattenDocument(after);
  const fields = differences(flatBefore, flatAfter);
  if (action === 'updated' && fields.length === 0) return undefined;
  const name = nameOf(flatAfter.size > 0 ? flatAfter : flatBefore, observation.kind);
  return {
    observedAt: observation.observedAt,
    nodeUid: observation.nodeUid,
    nodeName: observation.nodeName,
    kind: observation.kind,
    objectId: observation.id,
    objectName: name,
    action,
    upid: cause?.upid ?? '',
    author: authorOf(cause?.actor, cause?.user),
    operationId: cause?.operationId ?? '',
    fields,
    summary: summarise(action, fields),
  };
}

/** The operator who ordered it says more than root@pam, as whom the agent did it. */
function authorOf(actor: string | undefined, user: string | undefined): string {
  return actor !== undefined && actor !== '' ? actor : (user ?? '');
}

/** Fields that differ, sorted by path. Pure and total: equal documents give an empty list. */
export function differences(before: FlatDocument, after: FlatDocument): FieldDiff[] {
  const found: FieldDiff[] = [];
  const add = (path: string, was: string, is: string): void => {
    if (was !== is && !MOVING.has(path)) found.push({ path, before: clip(was), after: clip(is) });
  };
  for (const [path, is] of after) add(path, before.get(path) ?? '', is);
  for (const [path, was] of before) if (!after.has(path)) add(path, was, '');
  const told = found.some((field) => CONFIG_OF_GUEST.test(field.path))
    ? found.filter((field) => !DERIVED_OF_GUEST.test(field.path))
    : found;
  return told.sort((a, b) => (a.path < b.path ? -1 : 1));
}

function clip(text: string): string {
  return text.length > VALUE_MAX ? `${text.slice(0, VALUE_MAX)}... (${String(text.length)} characters)` : text;
}

const NAME_PATHS = ['name', 'file_name', 'model', 'product', 'id'] as const;

function nameOf(flat: FlatDocument, kind: string): string {
  for (const part of NAME_PATHS) {
    const name = flat.get(`${kind}.${part}`);
    if (name !== undefined) return name;
  }
  return flat.get(`${kind}.references`)?.split(', ')[0] ?? '';
}

function summarise(action: ChangeAction, fields: readonly FieldDiff[]): string {
  if (action === 'created') return 'created';
  if (action === 'deleted') return 'deleted';
  // Status first: it is what people look for.
  const ordered = [...fields].sort((a, b) => Number(b.path.endsWith('.status')) - Number(a.path.endsWith('.status')));
  let text = '';
  let count = 0;
  for (const field of ordered.slice(0, SUMMARY_FIELDS)) {
    const longer = `${text}${text === '' ? '' : '; '}${fieldText(field)}`;
    if (count > 0 && longer.length > SUMMARY_MAX - MORE_MAX) break;
    text = longer;
    count += 1;
  }
  const more = fields.length - count;
  return more > 0 ? `${text} and ${String(more)} more` : text;
}

/** "memory: 512 -> 1024"; of the environment only the names, its values may be secrets. */
function fieldText({ path, before, after }: FieldDiff): string {
  const name = shortPath(path);
  if (!ENVIRONMENT.test(path)) return `${name}: ${short(before)} -> ${short(after)}`;
  const changed = changedNames(before, after).join(', ');
  return `env changed: ${changed.length > 70 ? `${changed.slice(0, 67)}...` : changed}`;
}

/** Names of the variables whose lines differ. */
function changedNames(before: string, after: string): string[] {
  const was = new Set(before.split('\n'));
  const is = new Set(after.split('\n'));
  const lines = [...was].filter((line) => !is.has(line)).concat([...is].filter((line) => !was.has(line)));
  return [...new Set(lines.map((line) => line.split('=')[0] ?? '').filter((name) => name !== ''))];
}

function shortPath(path: string): string {
  return path.replace(/^[a-z]+\.(?:config\.)?/, '');
}

function short(text: string): string {
  if (text === '') return '(none)';
  const line = text.replaceAll('\n', ' ');
  return line.length > 45 ? `${line.slice(0, 42)}...` : line;
}
