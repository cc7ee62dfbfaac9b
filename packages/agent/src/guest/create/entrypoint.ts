import { hasControlCharacters } from '@pxmgr/contract';

/**
 * `entrypoint:` of a container. Proxmox quotes in shell style, LXC parses words that start with a quote up to the
 * next same quote, without escapes and without joining (lxc/lxc src/lxc/string_utils.c lxc_string_split_quoted): an
 * argument with a single quote arrives broken. This encoder writes what LXC reads.
 */
export type EncodedEntrypoint =
  | { readonly ok: true; readonly value: string }
  | { readonly ok: false; readonly reason: string };

/** `hasShell`: the image has /bin/sh and printf, needed when one argument holds both kinds of quotes. */
export function encodeEntrypoint(argv: readonly string[], hasShell: boolean): EncodedEntrypoint {
  if (argv.length === 0) return { ok: false, reason: 'it has no arguments' };
  if (argv[0] === '') return { ok: false, reason: 'its program name is empty' };
  if (argv.some(hasControlCharacters)) return { ok: false, reason: 'an argument holds control characters' };
  const words = argv.map(plainWord);
  if (words.every((word) => word !== undefined)) return { ok: true, value: words.join(' ') };
  if (!hasShell)
    return {
      ok: false,
      reason: 'an argument holds both kinds of quotes, and the image has no shell to pass it through',
    };
  return { ok: true, value: `/bin/sh -c "exec ${argv.map(shellWord).join(' ')}"` };
}

/** True when Proxmox's own quoting of these arguments would arrive differently. */
export function needsEncoding(argv: readonly string[]): boolean {
  return argv.some((word) => word.includes("'"));
}

/** undefined when LXC has no way to write it. */
function plainWord(word: string): string | undefined {
  if (word !== '' && !/\s/.test(word) && !/^['"]/.test(word)) return word;
  if (!word.includes("'")) return `'${word}'`;
  return word.includes('"') ? undefined : `"${word}"`;
}

/** A word for sh that holds no double quote, since the whole script stands between two. */
function shellWord(word: string): string {
  if (word === '') return "''";
  return Array.from(word, shellCharacter).join('');
}

function shellCharacter(character: string): string {
  if (/[A-Za-z0-9_@%+=:,./-]/.test(character)) return character;
  if (character === "'") return "\\'";
  if (character === '"') return "$(printf '\\042')";
  return `'${character}'`;
}
