/** The usage texts of `zpool` (openzfs/zfs cmd/zpool/zpool_main.c get_usage, usage). */

/** In the order of the whole listing; an empty text is a blank line between groups. */
const USAGES: readonly string[] = [
  'version [-j]',
  '',
  'create [-fnd] [-o property=value] ... \n\t    [-O file-system-property=value] ... \n\t    [-m mountpoint] [-R root] <pool> <vdev> ...',
  'destroy [-f] <pool>',
  '',
  'add [-afgLnP] [-o property=value] <pool> <vdev> ...',
  'remove [-npsw] <pool> <device> ...',
  '',
  'labelclear [-f] <vdev>',
  '',
  'checkpoint [-d [-w]] <pool> ...',
  'prefetch -t <type> [<type opts>] <pool>\n\t    -t ddt <pool>',
  '',
  'list [-gHLpPv] [-o property[,...]] [-j [--json-int, --json-pool-key-guid]] ...\n\t    [-T d|u] [pool] [interval [count]]',
  'iostat [[[-c [script1,script2,...][-lq]]|[-rw]] [-T d | u] [-ghHLpPvy]\n\t    [[pool ...]|[pool vdev ...]|[vdev ...]] [[-n] interval [count]]',
  'status [-DdegiLPpstvx] [-c script1[,script2,...]] ...\n\t    [-j|--json [--json-flat-vdevs] [--json-int] [--json-pool-key-guid]] ...\n\t    [-T d|u] [--power] [pool] [interval [count]]',
  '',
  'online [--power][-e] <pool> <device> ...',
  'offline [--power]|[[-f][-t]] <pool> <device> ...',
  'clear [[--power]|[-nF]] <pool> [device]',
  'reopen [-n] <pool>',
  '',
  'attach [-fsw] [-o property=value] <pool> <device> <new-device>',
  'detach <pool> <device>',
  'replace [-fsw] [-o property=value] <pool> <device> [new-device]',
  'split [-gLnPl] [-R altroot] [-o mntopts]\n\t    [-o property=value] <pool> <newpool> [<device> ...]',
  '',
  'initialize [-c | -s | -u] [-w] <pool> [<device> ...]',
  'resilver <pool> ...',
  'scrub [-e | -s | -p | -C] [-w] <pool> ...',
  'trim [-dw] [-r <rate>] [-c | -s] <pool> [<device> ...]',
  '',
  'import [-d dir] [-D]\n\timport [-o mntopts] [-o property=value] ... \n\t    [-d dir | -c cachefile] [-D] [-l] [-f] [-m] [-N] [-R root] [-F [-n]] -a\n\timport [-o mntopts] [-o property=value] ... \n\t    [-d dir | -c cachefile] [-D] [-l] [-f] [-m] [-N] [-R root] [-F [-n]]\n\t    [--rewind-to-checkpoint] <pool | id> [newpool]',
  'export [-af] <pool> ...',
  'upgrade\n\tupgrade -v\n\tupgrade [-V version] <-a | pool ...>',
  'reguid [-g guid] <pool>',
  '',
  'history [-il] [<pool>] ...',
  'events [-vHf [pool] | -c]',
  '',
  'get [-Hp] [-j [--json-int, --json-pool-key-guid]] ...\n\t    [-o "all" | field[,...]] <"all" | property[,...]> <pool> ...',
  'set <property=value> <pool>\n\tset <vdev_property=value> <pool> <vdev>',
  'sync [pool] ...',
  '',
  'wait [-Hp] [-T d|u] [-t <activity>[,...]] <pool> [interval]',
  '',
  'ddtprune -d|-p <amount> <pool>',
];

const PROPERTIES = `the following properties are supported:

	PROPERTY             EDIT   VALUES

	allocated              NO   <size>
	bcloneratio            NO   <1.00x or higher if cloned>
	bclonesaved            NO   <size>
	bcloneused             NO   <size>
	capacity               NO   <percent>
	checkpoint             NO   <size>
	dedup_table_size       NO   <size>
	dedupratio             NO   <1.00x or higher if deduped>
	expandsize             NO   <size>
	fragmentation          NO   <percent>
	free                   NO   <size>
	freeing                NO   <size>
	guid                   NO   <guid>
	health                 NO   <state>
	last_scrubbed_txg      NO   <txg>
	leaked                 NO   <size>
	load_guid              NO   <load_guid>
	size                   NO   <size>
	altroot               YES   <path>
	ashift                YES   <ashift, 9-16, or 0=default>
	autoexpand            YES   on | off
	autoreplace           YES   on | off
	autotrim              YES   on | off
	bootfs                YES   <filesystem>
	cachefile             YES   <file> | none
	comment               YES   <comment-string>
	compatibility         YES   <file[,file...]> | off | legacy
	dedup_table_quota     YES   <size>
	delegation            YES   on | off
	failmode              YES   wait | continue | panic
	listsnapshots         YES   on | off
	multihost             YES   on | off
	readonly              YES   on | off
	version               YES   <version>
	feature@...           YES   disabled | enabled | active

The feature@ properties must be appended with a feature name.
See zpool-features(7).
`;
const WITH_PROPERTIES = new Set(['list', 'get', 'set']);

/** What follows the problem: of one command, or of all. */
export function zpoolUsage(command: string | undefined): string {
  const own = USAGES.find((usage) => usage !== '' && usage.split(' ')[0] === command);
  if (own === undefined || command === undefined) {
    const lines = USAGES.map((usage) => (usage === '' ? '\n' : `\t${usage}\n`));
    return `usage: zpool command args ...\nwhere 'command' is one of the following:\n\n${lines.join('')}\nFor further help on a command or topic, run: zpool help [<topic>]\n`;
  }
  return `usage:\n\t${own}\n${WITH_PROPERTIES.has(command) ? `\n${PROPERTIES}` : ''}`;
}
