/** Checks of dataset and snapshot names, with the texts of openzfs/zfs lib/libzfs/libzfs_dataset.c zfs_validate_name. */

const MAX_NAME = 255;

/** Why the name is refused, or undefined. `kind` says which delimiters belong into it. */
export function nameProblem(name: string, kind: 'dataset' | 'snapshot'): string | undefined {
  if (kind === 'dataset' && name.includes('@')) return "snapshot delimiter '@' is not expected here";
  if (kind === 'dataset' && name.includes('#')) return "bookmark delimiter '#' is not expected here";
  if (kind === 'snapshot' && !name.includes('@')) return "missing '@' delimiter in snapshot name";
  return shapeProblem(name) ?? componentProblem(name);
}

/** What ZFS says of something that cannot be opened; `%` belongs to names that it makes itself. */
export function openText(name: string, kind: 'dataset' | 'snapshot' | 'any'): string {
  const problem = nameProblem(name, kind === 'any' ? (name.includes('@') ? 'snapshot' : 'dataset') : kind);
  const isOwn = problem === 'invalid character % in name';
  return `cannot open '${name}': ${problem === undefined || isOwn ? 'dataset does not exist' : problem}`;
}

function shapeProblem(name: string): string | undefined {
  if ((name.match(/[@#]/g) ?? []).length > 1) return "multiple '@' and/or '#' delimiters in name";
  if (name.startsWith('/')) return 'leading slash in name';
  if (name.endsWith('/') || /@.*\//.test(name)) return 'trailing slash in name';
  if (name.length > MAX_NAME) return 'name is too long';
  return undefined;
}

function componentProblem(name: string): string | undefined {
  const components = name.split(/[/@#]/);
  if (components.includes('')) return "empty component or misplaced '@' or '#' delimiter in name";
  if (components.includes('.')) return "self reference, '.' is found in name";
  if (components.includes('..')) return "parent reference, '..' is found in name";
  const odd = /[^A-Za-z0-9\-_.: /@#]/.exec(name)?.[0];
  if (odd === '%') return 'invalid character % in name';
  // One byte is printed as it stands, and half a character is none.
  const shown = odd !== undefined && odd > '\u007f' ? '\ufffd' : odd;
  return shown === undefined ? undefined : `invalid character '${shown}' in name`;
}
