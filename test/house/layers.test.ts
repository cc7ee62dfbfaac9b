import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { ROOT } from './tree.ts';

interface Report {
  readonly summary: {
    readonly violations: readonly {
      readonly rule: { readonly name: string };
      readonly from: string;
      readonly to: string;
    }[];
  };
}

/** Runs dependency-cruiser with the repository's table over `folder`; one line per violation. */
function violations(folder: string): string[] {
  const args = ['--config', join(ROOT, '.dependency-cruiser.cjs'), '--no-cache', '--output-type', 'json', 'packages'];
  const child = spawnSync(join(ROOT, 'node_modules/.bin/depcruise'), args, {
    cwd: folder,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  const report = JSON.parse(child.stdout) as Report;
  return report.summary.violations.map((one) => `${one.rule.name}: ${one.from} -> ${one.to}`).sort();
}

const folders: string[] = [];

function plant(files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'pxmgr-layers-'));
  folders.push(folder);
  for (const [path, text] of Object.entries({ 'tsconfig.json': '{}', ...files })) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  return folder;
}

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

describe('direction of imports', () => {
  it('holds in the whole tree', () => {
    expect(violations(ROOT)).toEqual([]);
  });

  it('is really watched: planted faults are found', () => {
    const folder = plant({
      'packages/agent/src/host/facts.ts': "import { x } from '../rpc/node.ts';\nexport const y = x;\n",
      'packages/agent/src/rpc/node.ts': "import { spawn } from 'node:child_process';\nexport const x = spawn;\n",
      'packages/agent/src/zfs/parse.ts': "import type { T } from '../image/pull.ts';\nexport type U = T;\n",
      'packages/agent/src/image/pull.ts':
        "import { z } from '../../../controller/src/domain/plan.ts';\nexport type T = typeof z;\n",
      'packages/controller/src/domain/plan.ts': 'export const z = 1;\n',
      'packages/controller/src/schedule/rank.ts':
        "import { statSync } from 'node:fs';\nimport { z } from '../domain/plan.ts';\nexport const r = [statSync, z];\n",
      'packages/controller/src/extra/one.ts':
        "import { two } from './two.ts';\nexport const one = (): number => two;\n",
      'packages/controller/src/extra/two.ts': "import { one } from './one.ts';\nexport const two = 2 + one.length;\n",
    });
    const found = new Set(violations(folder).map((line) => line.split(':')[0]));
    expect([...found].sort()).toEqual([
      'door-subprocess',
      'layer-agent-host',
      'layer-agent-zfs',
      'layer-controller-unnamed',
      'no-cycle',
      'package-agent',
      'pure-npm',
    ]);
  });
});
