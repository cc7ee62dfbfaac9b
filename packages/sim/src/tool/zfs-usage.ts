/** The usage texts of `zfs` (openzfs/zfs cmd/zfs/zfs_main.c get_usage, usage). */
import { propertyUsage } from '../pool/property-table.ts';

/** In the order of the whole listing; an empty text is a blank line between groups. */
const USAGES: readonly (readonly [command: string, usage: string])[] = [
  ['version', 'version [-j]'],
  ['', ''],
  [
    'create',
    'create [-Pnpuv] [-o property=value] ... <filesystem>\n\tcreate [-Pnpsv] [-b blocksize] [-o property=value] ... -V <size> <volume>',
  ],
  [
    'destroy',
    'destroy [-fnpRrv] <filesystem|volume>\n\tdestroy [-dnpRrv] <filesystem|volume>@<snap>[%<snap>][,...]\n\tdestroy <filesystem|volume>#<bookmark>',
  ],
  ['', ''],
  ['snapshot', 'snapshot [-r] [-o property=value] ... <filesystem|volume>@<snap> ...'],
  ['rollback', 'rollback [-rRf] <snapshot>'],
  ['clone', 'clone [-p] [-o property=value] ... <snapshot> <filesystem|volume>'],
  ['promote', 'promote <clone-filesystem>'],
  [
    'rename',
    'rename [-f] <filesystem|volume|snapshot> <filesystem|volume|snapshot>\n\trename -p [-f] <filesystem|volume> <filesystem|volume>\n\trename -u [-f] <filesystem> <filesystem>\n\trename -r <snapshot> <snapshot>',
  ],
  ['bookmark', 'bookmark <snapshot|bookmark> <newbookmark>'],
  ['diff', 'diff [-FHth] <snapshot> [snapshot|filesystem]'],
  ['', ''],
  [
    'list',
    'list [-Hp] [-j [--json-int]] [-r|-d max] [-o property[,...]] [-s property]...\n\t    [-S property]... [-t type[,...]] [filesystem|volume|snapshot] ...',
  ],
  ['', ''],
  ['set', 'set [-u] <property=value> ... <filesystem|volume|snapshot> ...'],
  [
    'get',
    'get [-rHp] [-j [--json-int]] [-d max] [-o "all" | field[,...]]\n\t    [-t type[,...]] [-s source[,...]]\n\t    <"all" | property[,...]> [filesystem|volume|snapshot|bookmark] ...',
  ],
  ['inherit', 'inherit [-rS] <property> <filesystem|volume|snapshot> ...'],
  ['upgrade', 'upgrade [-v]\n\tupgrade [-r] [-V version] <-a | filesystem ...>'],
  ['', ''],
  [
    'userspace',
    'userspace [-Hinp] [-o field[,...]] [-s field] ...\n\t    [-S field] ... [-t type[,...]] <filesystem|snapshot|path>',
  ],
  [
    'groupspace',
    'groupspace [-Hinp] [-o field[,...]] [-s field] ...\n\t    [-S field] ... [-t type[,...]] <filesystem|snapshot|path>',
  ],
  [
    'projectspace',
    'projectspace [-Hp] [-o field[,...]] [-s field] ... \n\t    [-S field] ... <filesystem|snapshot|path>',
  ],
  ['', ''],
  [
    'project',
    'project [-d|-r] <directory|file ...>\n\tproject -c [-0] [-d|-r] [-p id] <directory|file ...>\n\tproject -C [-k] [-r] <directory ...>\n\tproject [-p id] [-r] [-s] <directory ...>',
  ],
  ['', ''],
  ['mount', 'mount [-j]\n\tmount [-flvO] [-o opts] <-a|-R filesystem|filesystem>'],
  ['unmount', 'unmount [-fu] <-a | filesystem|mountpoint>'],
  ['share', 'share [-l] <-a [nfs|smb] | filesystem>'],
  ['unshare', 'unshare <-a [nfs|smb] | filesystem|mountpoint>'],
  ['', ''],
  [
    'send',
    'send [-DLPbcehnpsVvw] [-i|-I snapshot]\n\t     [-R [-X dataset[,dataset]...]]     <snapshot>\n\tsend [-DnVvPLecw] [-i snapshot|bookmark] <filesystem|volume|snapshot>\n\tsend [-DnPpVvLec] [-i bookmark|snapshot] --redact <bookmark> <snapshot>\n\tsend [-nVvPe] -t <receive_resume_token>\n\tsend [-PnVv] --saved filesystem',
  ],
  [
    'receive',
    'receive [-vMnsFhu] [-o <property>=<value>] ... [-x <property>] ...\n\t    <filesystem|volume|snapshot>\n\treceive [-vMnsFhu] [-o <property>=<value>] ... [-x <property>] ... \n\t    [-d | -e] <filesystem>\n\treceive -A <filesystem|volume>',
  ],
  ['redact', 'redact <snapshot> <bookmark> <redaction_snapshot> ...'],
  ['', ''],
  [
    'allow',
    'allow <filesystem|volume>\n\tallow [-ldug] <"everyone"|user|group>[,...] <perm|@setname>[,...]\n\t    <filesystem|volume>\n\tallow [-ld] -e <perm|@setname>[,...] <filesystem|volume>\n\tallow -c <perm|@setname>[,...] <filesystem|volume>\n\tallow -s @setname <perm|@setname>[,...] <filesystem|volume>',
  ],
  [
    'unallow',
    'unallow [-rldug] <"everyone"|user|group>[,...]\n\t    [<perm|@setname>[,...]] <filesystem|volume>\n\tunallow [-rld] -e [<perm|@setname>[,...]] <filesystem|volume>\n\tunallow [-r] -c [<perm|@setname>[,...]] <filesystem|volume>\n\tunallow [-r] -s @setname [<perm|@setname>[,...]] <filesystem|volume>',
  ],
  ['', ''],
  ['hold', 'hold [-r] <tag> <snapshot> ...'],
  ['holds', 'holds [-rHp] <snapshot> ...'],
  ['release', 'release [-r] <tag> <snapshot> ...'],
  ['', ''],
  ['load-key', 'load-key [-rn] [-L <keylocation>] <-a | filesystem|volume>'],
  ['unload-key', 'unload-key [-r] <-a | filesystem|volume>'],
  [
    'change-key',
    'change-key [-l] [-o keyformat=<value>]\n\t    [-o keylocation=<value>] [-o pbkdf2iters=<value>]\n\t    <filesystem|volume>\n\tchange-key -i [-l] <filesystem|volume>',
  ],
  ['', ''],
  [
    'program',
    'program [-jn] [-t <instruction limit>] [-m <memory limit (b)>]\n\t    <pool> <program file> [lua args...]',
  ],
  ['rewrite', 'rewrite [-rvx] [-o <offset>] [-l <length>] <directory|file ...>'],
  ['wait', 'wait [-t <activity>] <filesystem>'],
  ['', ''],
  ['zone', 'zone <nsfile> <filesystem>'],
  ['unzone', 'unzone <nsfile> <filesystem>'],
];

const END =
  '\nFor the property list, run: zfs set|get\n\nFor the delegated permission list, run: zfs allow|unallow\n\nFor further help on a command or topic, run: zfs help [<topic>]\n';
const WITH_PROPERTIES = new Set(['list', 'get', 'set', 'inherit']);

/** What follows the problem: of one command, or of all. */
export function usageText(command: string | undefined): string {
  const own = USAGES.find(([name]) => name === command)?.[1];
  if (own === undefined || command === undefined) {
    const lines = USAGES.map(([, usage]) => (usage === '' ? '\n' : `\t${usage}\n`));
    return `usage: zfs command args ...\nwhere 'command' is one of the following:\n\n${lines.join('')}\nEach dataset is of the form: pool/[dataset/]*dataset[@name]\n${END}`;
  }
  return `usage:\n\t${own}\n${WITH_PROPERTIES.has(command) ? `\n${propertyUsage()}` : END}`;
}
