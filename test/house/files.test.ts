import { execFileSync } from 'node:child_process';
import { basename, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { linesThatMatch, ROOT, treeFiles } from './tree.ts';

const CODE_LINES_MAX = 300;
const BANNED_NAMES = /^(utils?|helpers?|manager|handler|data|info|misc|common|types)(\.test)?\.ts$/;

const code = treeFiles(/^(packages|deploy|test)\/.*\.ts$/);

/** Lines that hold code; a line inside a block comment counts as comment. */
function codeLines(text: string): number {
  const withoutBlocks = text.replace(/^\s*\/\*[\s\S]*?\*\/\s*$/gm, '');
  return withoutBlocks.split('\n').filter((line) => line.trim() !== '' && !/^\s*\/\//.test(line)).length;
}

describe('files', () => {
  it('are small enough to be read at once', () => {
    const long = code
      .map((file) => ({ path: file.path, lines: codeLines(file.text) }))
      .filter((file) => file.lines > CODE_LINES_MAX);
    expect(long).toEqual([]);
  });

  it('are named in kebab-case after the one job they do', () => {
    const odd = code
      .map((file) => basename(file.path))
      .filter((name) => !/^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9-]+)*\.ts$/.test(name));
    const vague = code.filter(
      (file) => file.path !== 'packages/contract/src/common.ts' && BANNED_NAMES.test(basename(file.path)),
    );
    expect(odd).toEqual([]);
    expect(vague.map((file) => file.path)).toEqual([]);
  });

  it('do not print through the console and postpone nothing', () => {
    expect(linesThatMatch(code, /\bconsole\.(log|error|warn|info|debug)\(/)).toEqual([]);
    const ours = treeFiles().filter((file) => !file.path.startsWith('test/house/') && file.path !== 'eslint.config.js');
    expect(
      linesThatMatch(ours, /\b(TODO|FIXME|XXX|HACK)\b/).filter((line) => !line.startsWith('CONTRIBUTING.md')),
    ).toEqual([]);
  });

  it('name no path of a machine and no package registry', () => {
    const files = treeFiles().filter((file) => !file.path.startsWith('test/house/'));
    const machine = /(^|[\s'"`(=:])\/(work|farm)\/|\/tmp\/[a-z]/;
    const registry = /registry\.(npmjs|yarnpkg|npmmirror)|deb\.debian\.org|"resolved": "http|shared\/knowledge/;
    expect(linesThatMatch(files, machine)).toEqual([]);
    expect(linesThatMatch([...files, ...lockFile()], registry)).toEqual([]);
  });

  it('that are shell scripts parse', () => {
    const scripts = treeFiles(/(\.sh|^\.ci\/run)$/);
    expect(scripts.length).toBeGreaterThan(0);
    for (const script of scripts) execFileSync('bash', ['-n', join(ROOT, script.path)]);
  });

  it('with generated code are what proto/ says', () => {
    const report = execFileSync(join(ROOT, 'node_modules/.bin/tsx'), ['deploy/gen-proto.ts', '--check'], {
      cwd: ROOT,
      encoding: 'utf8',
    });
    expect(report).toBe('');
  });
});

function lockFile(): { path: string; text: string }[] {
  const path = 'package-lock.json';
  return [{ path, text: execFileSync('cat', [join(ROOT, path)], { encoding: 'utf8', maxBuffer: 32 * 1024 * 1024 }) }];
}
