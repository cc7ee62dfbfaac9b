/**
 * Bundles the programs into dist/, one file each, so that a host needs Node and nothing else.
 * dist/ is complete in itself: copy the folder to a machine and run it (docs/install.md).
 * Only the controller has a native add-on (SQLite); its package is put beside the bundle.
 */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type BuildOptions, build } from 'esbuild';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const DIST = join(ROOT, 'dist');
const SCRATCH = mkdtempSync(join(tmpdir(), 'pxmgr-build-'));
interface Program {
  readonly name: string;
  readonly entry: string;
  /**
   * Its start is waited for: `name.js` runs `name.cjs` with the code that this Node made of it in runs with these words,
   * the last of them (kit/src/lifecycle/compiled.ts).
   */
  readonly compiledFor?: readonly (readonly string[])[];
  /** Less text to read at start and to keep in memory; names stay, so that stack traces and logs do. */
  readonly isCompact?: boolean;
  /** For the launcher. */
  readonly nodeOptions?: readonly string[];
  /** The same for options of V8 that each line of Node names otherwise: the first whose pattern fits `node --version`. */
  readonly releaseOptions?: readonly (readonly [pattern: string, option: string])[];
  /** For the launcher; the programs that ours starts do not get them. */
  readonly env?: readonly string[];
}

const PROGRAMS: readonly Program[] = [
  {
    name: 'pxmgr',
    entry: 'packages/cli/src/main.ts',
    isCompact: true,
    // As far as a program without a controller gets.
    compiledFor: [['container', 'list', '--controller', `unix:${join(SCRATCH, 'none')}`]],
  },
  {
    name: 'pxmgr-agent',
    entry: 'packages/agent/src/main.ts',
    isCompact: true,
    // It shares a host with guests: collect early instead of growing, and no intermediate compiler. An idle agent holds
    // about 15 MB.
    nodeOptions: ['--max-semi-space-size=1', '--max-old-space-size=256', '--optimize-for-size', '--no-sparkplug'],
    // Optimise 15 times later than usual: most of its functions are called once in some seconds, and the compiler for
    // them would be 6 MB. What unpacks an image runs hot and is optimised in a moment nevertheless.
    releaseOptions: [
      ['v20.*', '--interrupt-budget=2000000'],
      ['*', '--invocation-count-for-turbofan=45000'],
    ],
    // One arena of malloc instead of one per thread, and what is free goes back to the system.
    env: ['MALLOC_ARENA_MAX=1', 'MALLOC_TRIM_THRESHOLD_=65536'],
  },
  {
    name: 'pxmgr-controller',
    entry: 'packages/controller/src/main.ts',
    isCompact: true,
    compiledFor: [['--version']],
  },
  {
    name: 'pxmgr-sim',
    entry: 'packages/sim/src/main.ts',
    compiledFor: [
      ['host', 'create', '--root', join(SCRATCH, 'host')],
      ['tool', '--root', join(SCRATCH, 'host'), 'pct', 'list'],
    ],
  },
];
/** What better-sqlite3 loads at run time: itself and the two packages that find its compiled part. */
const NATIVE = ['better-sqlite3', 'bindings', 'file-uri-to-path'];
/** Files of those packages that are needed to run; sources and build leftovers stay behind. */
const NATIVE_PARTS = ['package.json', 'LICENSE', 'lib', 'build/Release/better_sqlite3.node', 'bindings.js', 'index.js'];

function say(line: string): void {
  process.stdout.write(`build: ${line}\n`);
}

function writeLauncher({ name, nodeOptions = [], releaseOptions = [], env = [] }: Program): void {
  const file = join(DIST, name);
  const cases = releaseOptions.map(([pattern, option]) => `${pattern}) release=${option} ;;`).join(' ');
  const choose = cases === '' ? '' : `case $(node --version) in ${cases} esac\n`;
  const options = [...nodeOptions, ...(cases === '' ? [] : ['"$release"'])];
  const node = [...(env.length === 0 ? [] : ['env', ...env]), 'node', ...options].join(' ');
  writeFileSync(file, `#!/bin/sh\n${choose}exec ${node} "$(dirname "$(readlink -f "$0")")/${name}.js" "$@"\n`);
  chmodSync(file, 0o755);
}

/** CommonJS starts a little sooner than ES modules, and V8 can keep it compiled. Modules in it ask where they are. */
const SHARED_OPTIONS = {
  absWorkingDir: ROOT,
  bundle: true,
  platform: 'node',
  target: 'node20.19',
  format: 'cjs',
  banner: { js: "const pxmgrUrl = require('node:url').pathToFileURL(__filename).href;" },
  define: { 'import.meta.url': 'pxmgrUrl' },
  logLevel: 'warning',
} as const satisfies BuildOptions;

async function bundle(program: Program): Promise<void> {
  const { name, compiledFor, isCompact = false } = program;
  const file = `${name}.${compiledFor === undefined ? 'js' : 'cjs'}`;
  const result = await build({
    ...SHARED_OPTIONS,
    entryPoints: [program.entry],
    outfile: join(DIST, file),
    // grpc-js asks for its loader of .proto files only to serve channelz, which we do not.
    external: ['better-sqlite3', '@grpc/proto-loader'],
    minifyWhitespace: isCompact,
    minifySyntax: isCompact,
    sourcemap: 'linked',
    sourcesContent: false,
    legalComments: 'linked',
    metafile: true,
  });
  if (compiledFor !== undefined) await compileAhead(name, compiledFor);
  writeLauncher(program);
  const bytes = Object.values(result.metafile.outputs).find((output) => output.entryPoint !== undefined)?.bytes ?? 0;
  say(`dist/${file} ${(bytes / 1024 / 1024).toFixed(1)} MiB`);
}

/** Writes the start file and the cache. */
async function compileAhead(name: string, runs: readonly (readonly string[])[]): Promise<void> {
  const make = async (file: string, call: 'runCompiled' | 'runAndCache'): Promise<void> => {
    const contents = [
      `import { ${call} } from '@pxmgr/kit/lifecycle/compiled';`,
      `${call}(require('node:path').join(__dirname, '${name}.cjs'));`,
    ].join('\n');
    const stdin = { contents, resolveDir: ROOT, sourcefile: `${file}.ts`, loader: 'ts' } as const;
    await build({ ...SHARED_OPTIONS, stdin, outfile: join(DIST, `${file}.js`) });
  };
  await make(`${name}-cache`, 'runAndCache');
  rmSync(join(DIST, `${name}.cache`), { force: true });
  for (const words of runs) {
    const ran = spawnSync(process.execPath, [join(DIST, `${name}-cache.js`), ...words], { encoding: 'utf8' });
    if (!existsSync(join(DIST, `${name}.cache`))) throw new Error(`${name} did not run: ${ran.stderr}`);
  }
  rmSync(join(DIST, `${name}-cache.js`));
  await make(name, 'runCompiled');
}

/** Bundles of programs that are not built now. The others are written over, since a fleet may be running from them. */
function removeOthers(names: readonly string[]): void {
  const kept = new Set([...names, 'package', 'LICENSE', 'node_modules', 'pxmgr-sim-data']);
  const strays = readdirSync(DIST).filter(
    (name) => !kept.has(name.replace(/\.c?js(\.map|\.LEGAL\.txt)?$|\.json$|\.cache$/, '')),
  );
  for (const stray of strays) rmSync(join(DIST, stray), { recursive: true });
}

function copyNative(): void {
  const require = createRequire(join(ROOT, 'packages/controller/package.json'));
  for (const name of NATIVE) {
    const from = dirname(require.resolve(`${name}/package.json`));
    for (const part of NATIVE_PARTS.filter((candidate) => existsSync(join(from, candidate)))) {
      const to = join(DIST, 'node_modules', name, part);
      mkdirSync(dirname(to), { recursive: true });
      cpSync(join(from, part), to, { recursive: true });
    }
  }
}

const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
mkdirSync(DIST, { recursive: true });
// Says to Node that the .js files here are CommonJS wherever the folder is copied to.
writeFileSync(
  join(DIST, 'package.json'),
  `${JSON.stringify({ name: 'pxmgr', version, type: 'commonjs', license: 'AGPL-3.0-or-later' })}\n`,
);
cpSync(join(ROOT, 'LICENSE'), join(DIST, 'LICENSE'));

const present = PROGRAMS.filter((program) => existsSync(join(ROOT, program.entry)));
for (const missing of PROGRAMS.filter((program) => !present.includes(program))) {
  say(`${missing.name} left out: ${missing.entry} is not there`);
}
removeOthers(present.map((program) => program.name));
// One broken program does not keep the others from being built; esbuild has already said what is wrong.
const outcomes = await Promise.allSettled(present.map(bundle));
for (const outcome of outcomes)
  if (outcome.status === 'rejected') {
    process.exitCode = 1;
    say(String(outcome.reason));
  }
rmSync(SCRATCH, { recursive: true });
if (present.some((program) => program.name === 'pxmgr-controller')) copyNative();
// What the stand-in host knows of option rules; it reads the tables beside its bundle.
if (present.some((program) => program.name === 'pxmgr-sim')) {
  cpSync(join(ROOT, 'packages/sim/data'), join(DIST, 'pxmgr-sim-data'), { recursive: true });
}
