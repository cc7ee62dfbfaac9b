import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { ROOT } from './tree.ts';

/** A stand-in for vitest: writes the given report to the asked place and ends with the given status. */
const RUNNER = `
const out = process.argv.find((text) => text.startsWith('--outputFile.json=')).slice('--outputFile.json='.length);
if (process.env.REPORT) require('node:fs').writeFileSync(out, process.env.REPORT);
process.exit(Number(process.env.STATUS));
`;

const folders: string[] = [];

function lastLine(report: object | undefined, status: number): { line: string; status: number | null } {
  const folder = mkdtempSync(join(tmpdir(), 'pxmgr-ci-'));
  folders.push(folder);
  mkdirSync(join(folder, '.ci'));
  cpSync(join(ROOT, '.ci/run'), join(folder, '.ci/run'));
  writeFileSync(join(folder, 'runner.cjs'), RUNNER);
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ scripts: { test: 'node runner.cjs' } }));
  const env = { ...process.env, REPORT: report === undefined ? '' : JSON.stringify(report), STATUS: String(status) };
  const child = spawnSync('bash', ['.ci/run'], { cwd: folder, env, encoding: 'utf8' });
  return { line: child.stdout.trimEnd().split('\n').at(-1) ?? '', status: child.status };
}

function report(counts: { passed: number; failed: number; skipped: number }, results: readonly string[][]): object {
  const testResults = results.map((tests, index) => ({
    name: `file-${index}`,
    status: tests.includes('failed') || tests.length === 0 ? 'failed' : 'passed',
    assertionResults: tests.map((status) => ({ status })),
  }));
  return { numPassedTests: counts.passed, numFailedTests: counts.failed, numPendingTests: counts.skipped, testResults };
}

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

describe('.ci/run', () => {
  it('ends with the true counts and the status of the tests', () => {
    const good = report({ passed: 3, failed: 0, skipped: 1 }, [['passed', 'passed'], ['passed']]);
    expect(lastLine(good, 0)).toEqual({ line: 'tests: 3 passed, 0 failed, 1 skipped', status: 0 });
    const bad = report({ passed: 1, failed: 1, skipped: 0 }, [['passed', 'failed']]);
    expect(lastLine(bad, 1)).toEqual({ line: 'tests: 1 passed, 1 failed', status: 1 });
  });

  it('counts a file that could not be loaded, and a run without a report', () => {
    const unloaded = report({ passed: 1, failed: 0, skipped: 0 }, [['passed'], []]);
    expect(lastLine(unloaded, 1)).toEqual({ line: 'tests: 1 passed, 1 failed', status: 1 });
    expect(lastLine(undefined, 1)).toEqual({ line: 'tests: 0 passed, 1 failed', status: 1 });
  });
});
