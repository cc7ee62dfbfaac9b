/**
 * References of OCI images, as distribution/reference reads them, with two rules of ours:
 * the host is always written out, and a reference without tag and digest means the tag "latest".
 */
import type { Parsed } from './ids.ts';
import { IMAGE_REFERENCE_MAX } from './limits.ts';

export interface ImageReference {
  /** registry.example:5000 or docker.io */
  readonly host: string;
  /** library/nginx */
  readonly path: string;
  /** Empty when only a digest is given. */
  readonly tag: string;
  /** sha256:..., or empty. */
  readonly digest: string;
}

const COMPONENT = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;
const DIGEST = /^sha256:[0-9a-f]{64}$/;
const HOST =
  /^(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?$/;

function splitHost(name: string): { host: string; path: string } {
  const slash = name.indexOf('/');
  const first = slash === -1 ? '' : name.slice(0, slash);
  const isHost = first.includes('.') || first.includes(':') || first === 'localhost' || first !== first.toLowerCase();
  if (isHost) return { host: first, path: name.slice(slash + 1) };
  return { host: 'docker.io', path: slash === -1 ? `library/${name}` : name };
}

function cutTag(text: string): { name: string; tag: string | undefined } {
  const colon = text.lastIndexOf(':');
  if (colon === -1 || text.indexOf('/', colon) !== -1) return { name: text, tag: undefined };
  return { name: text.slice(0, colon), tag: text.slice(colon + 1) };
}

function checkParts(ref: ImageReference, tag: string | undefined, digest: string | undefined): string | undefined {
  if (!HOST.test(ref.host)) return `"${ref.host}" is not a registry host`;
  if (ref.path === '') return 'the repository name is missing';
  const bad = ref.path.split('/').find((part) => !COMPONENT.test(part));
  if (bad !== undefined)
    return `"${bad}" is not a repository name: use lower-case letters, digits and single separators`;
  if (tag !== undefined && !TAG.test(tag)) return `"${tag}" is not a tag`;
  if (digest !== undefined && !DIGEST.test(digest))
    return 'the digest must be sha256: and 64 lower-case hexadecimal digits';
  return undefined;
}

/** "docker://" in front is accepted; tag and digest together keep both (the digest decides). */
export function parseImageReference(input: string): Parsed<ImageReference> {
  const text = input.replace(/^docker:\/\//, '');
  if (text === '') return { ok: false, reason: 'it is empty' };
  if (text.length > IMAGE_REFERENCE_MAX)
    return { ok: false, reason: `it is longer than ${IMAGE_REFERENCE_MAX} characters` };
  const at = text.indexOf('@');
  const digest = at === -1 ? undefined : text.slice(at + 1);
  const { name, tag } = cutTag(at === -1 ? text : text.slice(0, at));
  const { host, path } = splitHost(name);
  const defaultTag = digest === undefined ? 'latest' : '';
  const value = { host, path, tag: tag ?? defaultTag, digest: digest ?? '' };
  const reason = checkParts(value, tag, digest);
  return reason === undefined ? { ok: true, value } : { ok: false, reason };
}

/** Normalised text: host/path[:tag][@digest]. */
export function formatImageReference(ref: ImageReference): string {
  return `${ref.host}/${ref.path}${ref.tag === '' ? '' : `:${ref.tag}`}${ref.digest === '' ? '' : `@${ref.digest}`}`;
}

/** host/path@digest: what is really fetched once the digest is known. */
export function pinImageReference(ref: ImageReference, digest: string): string {
  return `${ref.host}/${ref.path}@${digest}`;
}
