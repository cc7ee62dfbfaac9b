/** Branded names and ids. Each has one parser; nothing else makes a value of the brand. */
import {
  DATASET_NAME_MAX,
  HOSTNAME_LABEL_MAX,
  HOSTNAME_MAX,
  SNAPSHOT_NAME_MAX,
  SNAPSHOT_NAME_MIN,
  STORAGE_ID_MAX,
  STORAGE_ID_MIN,
  VMID_MAX,
  VMID_MIN,
} from './limits.ts';

declare const brand: unique symbol;
export type Brand<T, Name extends string> = T & { readonly [brand]: Name };

export type NodeName = Brand<string, 'NodeName'>;
export type NodeUid = Brand<string, 'NodeUid'>;
export type Vmid = Brand<number, 'Vmid'>;
export type GuestUid = Brand<string, 'GuestUid'>;
export type GuestName = Brand<string, 'GuestName'>;
export type StorageId = Brand<string, 'StorageId'>;
export type DatasetName = Brand<string, 'DatasetName'>;
export type SnapshotName = Brand<string, 'SnapshotName'>;
export type PciAddress = Brand<string, 'PciAddress'>;
export type Tag = Brand<string, 'Tag'>;

export type Parsed<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly reason: string };

function refuse(reason: string): { readonly ok: false; readonly reason: string } {
  return { ok: false, reason };
}

function accept<T>(value: unknown): Parsed<T> {
  return { ok: true, value: value as T };
}

function byPattern<T>(text: string, pattern: RegExp, reason: string): Parsed<T> {
  return pattern.test(text) ? accept<T>(text) : refuse(reason);
}

/** 100 to 999999999; text must be plain decimal digits. */
export function parseVmid(input: string | number): Parsed<Vmid> {
  const text = String(input);
  const number = Number(text);
  if (!/^[1-9][0-9]{2,8}$/.test(text) || number < VMID_MIN || number > VMID_MAX)
    return refuse(`must be a whole number from ${VMID_MIN} to ${VMID_MAX}`);
  return accept<Vmid>(number);
}

const LABEL = '[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?';
const NODE_NAME = new RegExp(`^${LABEL}$`);
const DNS_NAME = new RegExp(`^${LABEL}(?:\\.${LABEL})*$`);

/** `pve-node`: one DNS label (proxmox/pve-common src/PVE/JSONSchema.pm). */
export function parseNodeName(text: string): Parsed<NodeName> {
  if (text.length > HOSTNAME_LABEL_MAX) return refuse(`must have at most ${HOSTNAME_LABEL_MAX} characters`);
  return byPattern(text, NODE_NAME, 'must be letters, digits and inner hyphens');
}

/** Host name of a guest: stricter than Proxmox, which accepts labels that break the guest. */
export function parseGuestName(text: string): Parsed<GuestName> {
  if (text.length > HOSTNAME_MAX) return refuse(`must have at most ${HOSTNAME_MAX} characters`);
  if (text.split('.').some((label) => label.length > HOSTNAME_LABEL_MAX))
    return refuse(`each part must have at most ${HOSTNAME_LABEL_MAX} characters`);
  return byPattern(text, DNS_NAME, 'must be letters, digits, inner hyphens and dots');
}

export function parseStorageId(text: string): Parsed<StorageId> {
  if (text.length < STORAGE_ID_MIN || text.length > STORAGE_ID_MAX)
    return refuse(`must have ${STORAGE_ID_MIN} to ${STORAGE_ID_MAX} characters`);
  return byPattern(
    text,
    /^[A-Za-z][A-Za-z0-9_.-]*[A-Za-z0-9]$/,
    'must begin with a letter and hold letters, digits, "-", "_" and "."',
  );
}

/** Pool and components as zfs(8) names them; no snapshot or bookmark part. */
export function parseDatasetName(text: string): Parsed<DatasetName> {
  if (text.length > DATASET_NAME_MAX) return refuse(`must have at most ${DATASET_NAME_MAX} characters`);
  if (text.split('/').some((part) => part === '.' || part === '..'))
    return refuse('must not have "." or ".." as a part');
  return byPattern(
    text,
    /^[A-Za-z][A-Za-z0-9_.:-]*(?:\/[A-Za-z0-9_][A-Za-z0-9_.:-]*)*$/,
    'must be pool/name/... of letters, digits, "-", "_", "." and ":"',
  );
}

/** Reserved: `current` (the live state) and `vzdump` (backup), proxmox/pve-guest-common src/PVE/AbstractConfig.pm. */
export function parseSnapshotName(text: string): Parsed<SnapshotName> {
  if (text.length < SNAPSHOT_NAME_MIN || text.length > SNAPSHOT_NAME_MAX)
    return refuse(`must have ${SNAPSHOT_NAME_MIN} to ${SNAPSHOT_NAME_MAX} characters`);
  if (text === 'current' || text === 'vzdump') return refuse(`"${text}" is reserved`);
  return byPattern(text, /^[A-Za-z][A-Za-z0-9_-]+$/, 'must begin with a letter and hold letters, digits, "-" and "_"');
}

/** PCI address with domain, lower case: 0000:01:00.0 */
export function parsePciAddress(text: string): Parsed<PciAddress> {
  const full = /^[0-9a-f]{2}:/i.test(text) ? `0000:${text}` : text;
  return byPattern(
    full.toLowerCase(),
    /^[0-9a-f]{4,5}:[0-9a-f]{2}:[0-1][0-9a-f]\.[0-7]$/,
    'must look like 0000:01:00.0',
  );
}

/** One tag of a guest: proxmox/pve-common src/PVE/JSONSchema.pm `pve-tag`. */
export function parseTag(text: string): Parsed<Tag> {
  return byPattern(text, /^[A-Za-z0-9_][A-Za-z0-9_+.-]*$/, 'must hold letters, digits, "_", "+", "." and "-"');
}

export function parseNodeUid(text: string): Parsed<NodeUid> {
  return byPattern(text, /^n-[a-z2-7]{16}$/, 'must be n- and 16 base32 characters');
}

export function parseGuestUid(text: string): Parsed<GuestUid> {
  return byPattern(text, /^[0-9a-f]{32}$/, 'must be 32 hexadecimal digits');
}

export const ID_PREFIXES = { operation: 'op', plan: 'pl', evaluation: 'ev', reservation: 'rs' } as const;
export type IdNoun = keyof typeof ID_PREFIXES;

/** op-, pl-, ev-, rs- and 26 lower-case base32 characters (Crockford), sortable by time. */
export function isId(noun: IdNoun, text: string): boolean {
  return text.startsWith(`${ID_PREFIXES[noun]}-`) && /^[0-9a-hjkmnp-tv-z]{26}$/.test(text.slice(3));
}

/** An absolute path without "." or ".." parts, control characters or commas (pct property strings have no escaping). */
export function parseAbsolutePath(text: string): Parsed<string> {
  if (!text.startsWith('/')) return refuse('must be an absolute path');
  if (hasControlCharacters(text)) return refuse('must not hold control characters');
  if (text.includes(',')) return refuse('must not hold a comma: Proxmox cannot express it');
  if (text.split('/').some((part) => part === '.' || part === '..'))
    return refuse('must not have "." or ".." as a part');
  return accept(text.replace(/\/+/g, '/').replace(/(?<=.)\/$/, ''));
}

/** C0, DEL and C1 characters, and the Unicode line separators. */
export function hasControlCharacters(text: string): boolean {
  return /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/.test(text);
}
