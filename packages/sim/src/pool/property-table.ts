/**
 * The native properties of OpenZFS 2.3 (module/zcommon/zfs_prop.c), in the order of `zfs get all`. Which kinds of dataset
 * have it (f file system, v volume, s snapshot), e: may be set after creation, i: is inherited, the default, and the
 * values as the usage text prints them.
 */

export interface NativeProperty {
  readonly name: string;
  readonly kinds: string;
  readonly isEditable: boolean;
  readonly isInherited: boolean;
  readonly byDefault: string | undefined;
  /** As printed: `on | off`, `<size> | none`. */
  readonly values: string;
}

const ROWS = `
type|fvs|||filesystem | volume | snapshot | bookmark
creation|fvs|||<date>
used|fvs|||<size>
available|fv|||<size>
referenced|fvs|||<size>
compressratio|fvs|||<1.00x or higher if compressed>
mounted|f|||yes | no
origin|fv|||<snapshot>
quota|f|e|0|<size> | none
reservation|fv|e|0|<size> | none
volsize|v|e||<size>
volblocksize|v|i|16384|512 to 128k, power of 2
recordsize|f|ei|131072|512 to 1M, power of 2
mountpoint|f|ei||<path> | legacy | none
sharenfs|f|ei|off|on | off | NFS share options
checksum|fv|ei|on|on | off | fletcher2 | fletcher4 | sha256 | sha512 | skein | edonr | blake3
compression|fv|ei|on|on | off | lzjb | gzip | gzip-[1-9] | zle | lz4 | zstd | zstd-[1-19] | zstd-fast | zstd-fast-[1-10,20,30,40,50,60,70,80,90,100,500,1000]
atime|f|ei|on|on | off
devices|fs|ei|on|on | off
exec|fs|ei|on|on | off
setuid|fs|ei|on|on | off
readonly|fv|ei|off|on | off
zoned|f|ei|off|on | off
snapdir|f|ei|hidden|disabled | hidden | visible
aclmode|f|ei|discard|discard | groupmask | passthrough | restricted
aclinherit|f|ei|restricted|discard | noallow | restricted | passthrough | passthrough-x
createtxg|fvs|||<uint64>
canmount|f|e|on|on | off | noauto
xattr|fs|ei|on|on | off | dir | sa
copies|fv|ei|1|1 | 2 | 3
version|fs|e|5|1 | 2 | 3 | 4 | 5 | current
utf8only|fs|i|off|on | off
normalization|fs|i|none|none | formC | formD | formKC | formKD
casesensitivity|fs|i|sensitive|sensitive | insensitive | mixed
vscan|f|ei|off|on | off
nbmand|fs|ei|off|on | off
sharesmb|f|ei|off|on | off | SMB share options
refquota|f|e|0|<size> | none
refreservation|fv|e|0|<size> | none
guid|fvs|||<uint64>
primarycache|fvs|ei|all|all | none | metadata
secondarycache|fvs|ei|all|all | none | metadata
usedbysnapshots|fv|||<size>
usedbydataset|fv|||<size>
usedbychildren|fv|||<size>
usedbyrefreservation|fv|||<size>
defer_destroy|s|||yes | no
userrefs|s|||<count>
logbias|fv|ei|latency|latency | throughput
objsetid|fvs|||<uint64>
dedup|fv|ei|off|on | off | verify | sha256[,verify] | sha512[,verify] | skein[,verify] | edonr,verify | blake3[,verify]
mlslabel|fvs|ei|none|<sensitivity label>
sync|fv|ei|standard|standard | always | disabled
dnodesize|f|ei|legacy|legacy | auto | 1k | 2k | 4k | 8k | 16k
refcompressratio|fvs|||<1.00x or higher if compressed>
written|fvs|||<size>
clones|s|||<dataset>[,...]
logicalused|fv|||<size>
logicalreferenced|fvs|||<size>
volmode|fv|ei|default|default | full | geom | dev | none
filesystem_limit|f|e|none|<count> | none
snapshot_limit|fv|e|none|<count> | none
filesystem_count|f||none|<count>
snapshot_count|fv||none|<count>
snapdev|fv|ei|hidden|hidden | visible
acltype|fs|ei|off|off | nfsv4 | posix
context|fvs|e|none|<selinux context>
fscontext|fvs|e|none|<selinux fscontext>
defcontext|fvs|e|none|<selinux defcontext>
rootcontext|fvs|e|none|<selinux rootcontext>
relatime|f|ei|on|on | off
redundant_metadata|fv|ei|all|all | most | some | none
overlay|f|ei|on|on | off
receive_resume_token|fv|||<string token>
encryption|fvs|i|off|on | off | aes-128-ccm | aes-192-ccm | aes-256-ccm | aes-128-gcm | aes-192-gcm | aes-256-gcm
keylocation|fv|e|none|prompt | <file URI> | <https URL> | <http URL>
keyformat|fv||none|none | raw | hex | passphrase
pbkdf2iters|fv||0|<iters>
encryptionroot|fvs|||<filesystem | volume>
keystatus|fvs|||none | unavailable | available
special_small_blocks|f|ei|0|zero or 512 to 1M, power of 2
redact_snaps|s|||<snapshot>[,...]
snapshots_changed|fv|||<date>
prefetch|fvs|ei|all|none | metadata | all
volthreading|v|e|on|on | off
direct|f|ei|standard|disabled | standard | always
longname|f|ei|off|on | off
`;

/** Properties with an argument: name, may be set, values. */
export const ARGUMENT_PROPERTIES: readonly (readonly [name: string, isEditable: boolean, values: string])[] = [
  ['userused@...', false, '<size>'],
  ['groupused@...', false, '<size>'],
  ['projectused@...', false, '<size>'],
  ['userobjused@...', false, '<size>'],
  ['groupobjused@...', false, '<size>'],
  ['projectobjused@...', false, '<size>'],
  ['userquota@...', true, '<size> | none'],
  ['groupquota@...', true, '<size> | none'],
  ['projectquota@...', true, '<size> | none'],
  ['userobjquota@...', true, '<size> | none'],
  ['groupobjquota@...', true, '<size> | none'],
  ['projectobjquota@...', true, '<size> | none'],
  ['written@<snap>', false, '<size>'],
  ['written#<bookmark>', false, '<size>'],
];

export const NATIVE: ReadonlyMap<string, NativeProperty> = new Map(
  ROWS.trim()
    .split('\n')
    .map((row) => {
      const [name = '', kinds = '', flags = '', byDefault = '', ...values] = row.split('|');
      const property: NativeProperty = {
        name,
        kinds,
        isEditable: flags.includes('e'),
        isInherited: flags.includes('i'),
        byDefault: byDefault === '' ? undefined : byDefault,
        values: values.join('|'),
      };
      return [name, property];
    }),
);

/** Short forms that commands take for a property. */
const ALIASES: Readonly<Record<string, string>> = {
  avail: 'available',
  refer: 'referenced',
  ratio: 'compressratio',
  refratio: 'refcompressratio',
  lused: 'logicalused',
  lrefer: 'logicalreferenced',
  usedsnap: 'usedbysnapshots',
  usedds: 'usedbydataset',
  usedchild: 'usedbychildren',
  usedrefreserv: 'usedbyrefreservation',
  compress: 'compression',
  rdonly: 'readonly',
  volblock: 'volblocksize',
  recsize: 'recordsize',
  reserv: 'reservation',
  refreserv: 'refreservation',
  crtxg: 'createtxg',
  encroot: 'encryptionroot',
};

export function propertyName(word: string): string {
  return ALIASES[word] ?? word;
}

/** `The following properties are supported:` and what follows, as `list`, `get` and `set` print it. */
export function propertyUsage(): string {
  const yes = (is: boolean, width: number): string => (is ? 'YES' : 'NO').padStart(width);
  const line = (name: string, edit: string, values: string): string => `\t${name.padEnd(22)}${edit}   ${values}\n`;
  const native = [...NATIVE.values()]
    .sort((a, b) => Number(isOnlyRead(b)) - Number(isOnlyRead(a)) || (a.name < b.name ? -1 : 1))
    .map((one) => line(one.name, `${yes(one.isEditable, 4)}${yes(one.isInherited, 9)}`, one.values));
  const others = ARGUMENT_PROPERTIES.map(([name, isEditable, values]) =>
    line(name, `${yes(isEditable, 4)}       NO`, values),
  );
  return `The following properties are supported:\n\n\tPROPERTY              EDIT  INHERIT   VALUES\n\n${native.join('')}${others.join('')}
Sizes are specified in bytes with standard units such as K, M, G, etc.

User-defined properties can be specified by using a name containing a colon (:).

The {user|group|project}[obj]{used|quota}@ properties must be appended with
a user|group|project specifier of one of these forms:
    POSIX name      (eg: "matt")
    POSIX id        (eg: "126829")
    SMB name@domain (eg: "matt@sun")
    SMB SID         (eg: "S-1-234-567-89")
`;
}

const CHOSEN_AT_CREATION = new Set([
  'casesensitivity',
  'encryption',
  'keyformat',
  'normalization',
  'pbkdf2iters',
  'utf8only',
  'volblocksize',
]);

/** Never set by a user, not even at creation. */
export function isOnlyRead({ name, isEditable }: NativeProperty): boolean {
  return !isEditable && !CHOSEN_AT_CREATION.has(name);
}
