// Direction of imports. LAYERS and PACKAGES are the only place where it is written down;
// every rule below is made from them. Lowest line first; rooms on one line do not see each other.

const PACKAGES = {
  contract: [],
  kit: ['contract'],
  agent: ['contract', 'kit'],
  controller: ['contract', 'kit'],
  cli: ['contract', 'kit'],
  sim: ['contract', 'kit'],
};

const LAYERS = {
  agent: [
    ['host'],
    ['operation', 'zfs', 'device', 'image'],
    ['guest', 'iso'],
    ['inventory'],
    ['event', 'join'],
    ['rpc'],
    ['config', 'self-metrics', 'state-format'],
    ['wire', 'command-line'],
    ['main'],
  ],
  controller: [
    ['domain'],
    ['schedule'],
    ['store', 'pve', 'fleet', 'bus'],
    ['plan'],
    ['inventory', 'execute', 'change', 'report', 'discover'],
    ['loop'],
    ['api'],
  ],
  sim: [
    ['file', 'text', 'oci'],
    ['host'],
    ['call'],
    ['schema', 'cluster'],
    ['pool'],
    ['storage'],
    ['guest', 'lxc'],
    ['runtime'],
    ['pct'],
    ['qm', 'api'],
    ['tool'],
    ['door'],
    ['fleet'],
    ['host-command'],
  ],
  cli: [
    ['exit', 'file-problem', 'format'],
    ['config', 'result'],
    ['context'],
    ['command'],
    ['credentials', 'global-options'],
    ['client', 'render', 'spec'],
    ['commands', 'selftest', 'wizard'],
    ['usage-error'],
    ['program', 'terminal'],
    ['start'],
  ],
};

/** One npm package or Node module, one place that may use it. */
const DOORS = [
  {
    name: 'subprocess',
    only: '^packages/kit/src/exec/run\\.ts$',
    of: '^(node:)?child_process$|^execa$|node_modules/execa/',
  },
  {
    name: 'sqlite',
    only: '^packages/controller/src/store/',
    of: '^better-sqlite3$|node_modules/(@types/)?better-sqlite3/',
  },
  { name: 'proxmox-api', only: '^packages/controller/src/pve/', of: '^proxmox-api$|node_modules/proxmox-api/' },
  {
    name: 'systeminformation',
    only: '^packages/agent/src/host/',
    of: '^systeminformation$|node_modules/systeminformation/',
  },
  { name: 'commander', only: '^packages/cli/src/', of: 'node_modules/(commander|@commander-js)/' },
];

/** Tests and what only they use. */
const TESTS = '\\.(test|fixture)\\.ts$';
const NPM = '(^|/)node_modules/';
const src = (pkg) => `^packages/${pkg}/src/`;
const room = (pkg, name) => `${src(pkg)}${name}(/|\\.ts$)`;

const rule = (name, comment, from, to) => ({ name, comment, severity: 'error', from, to });

const packageRules = Object.entries(PACKAGES).map(([pkg, allowed]) =>
  rule(
    `package-${pkg}`,
    `${pkg} may import only ${[pkg, ...allowed].join(', ')}`,
    { path: `^packages/${pkg}/` },
    {
      path: '^(packages|deploy|test)/',
      pathNot: `^packages/(${[pkg, ...allowed].join('|')})/`,
    },
  ),
);

const layerRules = Object.entries(LAYERS).flatMap(([pkg, lines]) =>
  lines.flatMap((line, index) =>
    line.map((name) => {
      const closed = [...line.filter((other) => other !== name), ...lines.slice(index + 1).flat()];
      return rule(
        `layer-${pkg}-${name}`,
        `${pkg}/${name} imports only lower lines`,
        { path: room(pkg, name), pathNot: TESTS },
        {
          path: closed.length === 0 ? '^$' : `${src(pkg)}(${closed.join('|')})(/|\\.ts$)`,
        },
      );
    }),
  ),
);

/** Files beside the rooms that the table does not name (wire, main, config) put the program together: no room sees them. */
const topRules = Object.entries(LAYERS).map(([pkg, lines]) =>
  rule(
    `layer-${pkg}-top`,
    'what wires the program together hands things down; rooms do not reach up',
    { path: `${src(pkg)}(${lines.flat().join('|')})(/|\\.ts$)`, pathNot: TESTS },
    { path: `${src(pkg)}[^/]+\\.ts$`, pathNot: `${src(pkg)}(${lines.flat().join('|')})\\.ts$` },
  ),
);

/** A room that the table does not name would escape it. */
const unnamedRules = Object.entries(LAYERS).map(([pkg, lines]) =>
  rule(
    `layer-${pkg}-unnamed`,
    'add the room to LAYERS',
    { path: `${src(pkg)}[^/]+/`, pathNot: `${src(pkg)}(${lines.flat().join('|')})/` },
    {},
  ),
);

const doorRules = DOORS.map((door) =>
  rule(
    `door-${door.name}`,
    `only ${door.only} may use it`,
    { path: '^packages/', pathNot: [door.only, TESTS] },
    { path: door.of },
  ),
);

const extraRules = [
  rule('no-cycle', 'two files that need each other are one file or miss a third', {}, { circular: true }),
  rule(
    'gen-through-doors',
    'generated code is reached through contract/{agent,controller,event}.ts',
    {
      pathNot: '^packages/contract/src/',
    },
    { path: '^packages/contract/src/gen/' },
  ),
  rule(
    'contract-npm',
    'contract knows two npm packages, and only where it must',
    {
      path: src('contract'),
      pathNot: ['^packages/contract/src/(gen/|error-detail\\.ts$)', TESTS],
    },
    { path: NPM },
  ),
  rule(
    'contract-npm-which',
    'contract knows two npm packages',
    { path: src('contract'), pathNot: TESTS },
    {
      path: NPM,
      pathNot: 'node_modules/@(bufbuild/protobuf|grpc/grpc-js)/',
    },
  ),
  rule(
    'pure-npm',
    'schedule and domain are plain decisions: no npm package, no Node module',
    {
      path: `${src('controller')}(schedule|domain)/`,
      pathNot: TESTS,
    },
    {
      dependencyTypes: ['core', 'npm', 'npm-dev', 'npm-no-pkg', 'npm-optional', 'npm-peer', 'npm-unknown'],
      pathNot: '^packages/',
    },
  ),
  rule(
    'pure-kit',
    'schedule and domain do not know how a process behaves',
    {
      path: `${src('controller')}(schedule|domain)/`,
      pathNot: TESTS,
    },
    { path: '^packages/kit/' },
  ),
  rule(
    'no-barrel',
    'import the file that defines the thing; only contract has an index',
    {},
    {
      path: '^packages/.*/index\\.ts$',
      pathNot: '^packages/contract/src/(index\\.ts$|gen/)',
    },
  ),
  rule(
    'no-test-import',
    'shipped code does not lean on tests',
    { path: '^packages/', pathNot: TESTS },
    { path: TESTS },
  ),
  rule('unresolved', 'an import that leads nowhere', { pathNot: '^(dist|node_modules)/' }, { couldNotResolve: true }),
];

module.exports = {
  forbidden: [...packageRules, ...layerRules, ...topRules, ...unnamedRules, ...doorRules, ...extraRules],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(^|/)dist/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['types', 'import', 'node', 'default'],
      extensions: ['.ts', '.js', '.d.ts'],
    },
    cache: { folder: 'node_modules/.cache/dependency-cruiser', strategy: 'content' },
  },
};
