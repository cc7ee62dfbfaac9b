import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { COMMANDS, NOUNS } from '@pxmgr/cli/commands/all';
import { parseInvocation } from '@pxmgr/cli/program';
import { ERROR_TABLE, type ErrorRow, PRODUCT_VERSION } from '@pxmgr/contract';
import { describe, expect, it } from 'vitest';
import { linesThatMatch, ROOT, treeFiles } from '../house/tree.ts';

const pages = treeFiles(/\.md$/);

function fencedText(page: string): string {
  return (page.match(/^```[\s\S]*?^```/gm) ?? []).join('\n');
}

describe('texts', () => {
  it('that are generated are fresh', () => {
    const args = ['deploy/gen-docs.ts', '--check'];
    const report = execFileSync(join(ROOT, 'node_modules/.bin/tsx'), args, { cwd: ROOT, encoding: 'utf8' });
    expect(report).toBe('');
  });

  it('link to files that exist', () => {
    const broken = pages.flatMap((page) =>
      [...page.text.matchAll(/\]\((?!https?:|#|mailto:)([^)\s#]+)(?:#[^)]*)?\)/g)]
        .map((match) => match[1] ?? '')
        .filter((target) => !existsSync(join(ROOT, dirname(page.path), target)))
        .map((target) => `${page.path} -> ${target}`),
    );
    expect(broken).toEqual([]);
  });

  it('name the verb of every command in the vocabulary, and no other', () => {
    const page = pages.find(({ path }) => path === 'docs/vocabulary.md')?.text ?? '';
    const [, list = '', alone = ''] = /Verbs come from one list: ([^;]*); (.*) stand alone\./s.exec(page) ?? [];
    const words = (text: string): string[] => (text.match(/[a-z]+/g) ?? []).filter((word) => word !== 'and');
    const paths = COMMANDS.filter(({ hidden }) => !hidden).map(({ path }) => path.split(' '));
    const verbs = paths.filter((path) => path.length > 1).map((path) => path.at(-1) ?? '');
    expect(words(list).sort()).toEqual([...new Set(verbs)].sort());
    expect(words(alone).sort()).toEqual(paths.flatMap((path) => (path.length === 1 ? path : [])).sort());
  });

  it('name scripts that exist', () => {
    const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
      scripts: Readonly<Record<string, string>>;
    };
    const named = pages.flatMap((page) =>
      [...page.text.matchAll(/\bnpm run (?:-s )?([a-z][a-z:]*)/g)].map((match) => match[1] ?? ''),
    );
    expect([...new Set(named)].filter((name) => !(name in scripts))).toEqual([]);
  });

  it('name error codes that exist', () => {
    const codes = pages.flatMap((page) => [...page.text.matchAll(/\bPXM_[A-Z_]+\b/g)].map((match) => match[0]));
    expect([...new Set(codes)].filter((code) => !(code in ERROR_TABLE))).toEqual([]);
  });

  it('name commands that exist', () => {
    const written = pages.filter((page) => !page.path.startsWith('docs/reference/'));
    const quoted = written.flatMap((page) => page.text.match(/`[^`\n]+`|^```[\s\S]*?^```/gm) ?? []);
    const named = quoted.flatMap((text) =>
      [...text.matchAll(/(?<![-\w/])pxmgr ((?:[a-z]+ ?)+)/g)].map((match) => match[1] ?? ''),
    );
    const isKnown = (words: string): boolean =>
      COMMANDS.some((command) => `${words.trim()} `.startsWith(`${command.path} `));
    expect(named.length).toBeGreaterThan(0);
    expect([...new Set(named)].filter((words) => !isKnown(words))).toEqual([]);
  });

  it('and help pages show command lines that the real parser takes', () => {
    const inPages = pages
      .filter((page) => !page.path.startsWith('docs/adr/'))
      .flatMap((page) =>
        [...fencedText(page.text).matchAll(/^ *(?:\$ )?(?:npx )?(pxmgr (?!-).+)$/gm)].map((match) => match[1] ?? ''),
      );
    const inHelp = COMMANDS.flatMap((command) => command.examples);
    const program = { name: 'pxmgr', summary: '', version: '', commands: COMMANDS, nouns: NOUNS, width: 80 };
    const refused = [...inPages, ...inHelp].flatMap((line) => {
      // Quotes and pipes are the shell's; what stands before and behind them is not looked at.
      const words = (line.split(/ \| (?=pxmgr)/).at(-1) ?? '').replace(/ [|>#].*$/, '').split(' ');
      const argv = words.slice(words.indexOf('pxmgr') + 1).filter((word) => word !== '');
      try {
        return parseInvocation(program, argv).kind === 'command' ? [] : [`${line}: shows help`];
      } catch (error) {
        return [`${line}: ${error instanceof Error ? error.message : ''}`];
      }
    });
    expect(inPages.length).toBeGreaterThan(0);
    expect(refused).toEqual([]);
  });

  it('and packages state one version', () => {
    const versions = treeFiles(/(^|\/)package\.json$/).map(
      (file) => (JSON.parse(file.text) as { version: string }).version,
    );
    expect(new Set([...versions, PRODUCT_VERSION]).size).toBe(1);
  });
});

describe('error codes', () => {
  const source = treeFiles(/^(packages\/(kit|agent|controller|cli)\/src)\/.*(?<!\.test)\.ts$/);

  it('are each thrown somewhere', () => {
    const unused = Object.keys(ERROR_TABLE).filter(
      (code) => linesThatMatch(source, new RegExp(`\\b${code}\\b`)).length === 0,
    );
    expect(unused).toEqual([]);
  });

  it('say what to do where the user can act', () => {
    const rows: readonly (readonly [string, ErrorRow])[] = Object.entries(ERROR_TABLE);
    const silent = rows.filter(
      ([code, row]) => row.hint === '' && !['PXM_CANCELLED', 'PXM_OPERATION_ENDED'].includes(code),
    );
    expect(silent.map(([code]) => code)).toEqual([]);
  });
});
