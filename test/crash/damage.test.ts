/** The state of an agent as a bad disk, a person or a second agent leaves it: it starts and works, or refuses and says why. */
import { readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { treeOf } from '../e2e/traces.ts';
import { AgentBench } from './agent-bench.ts';
import { strike, subjectOf } from './strike.ts';
import { scenarioOf } from './twice.ts';

vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

let bench: AgentBench;
beforeAll(async () => {
  bench = await AgentBench.start();
});
afterAll(async () => {
  await bench.stop();
});

/** Everything but who it is: without that it is refused before it starts (packages/agent/src/join). */
function stateFiles(): string[] {
  return [...treeOf(bench.node.stateDir, [/^\/identity/])]
    .filter(([, kind]) => kind === 'file')
    .map(([path]) => join(bench.node.stateDir, path));
}

const DAMAGES: readonly [string, (path: string) => void][] = [
  ['empty', (path) => truncateSync(path)],
  ['filled with zeros', (path) => writeFileSync(path, Buffer.alloc(statSync(path).size))],
  ['cut in the middle', (path) => truncateSync(path, Math.floor(statSync(path).size / 2))],
];

describe('an agent whose files are all', () => {
  it.each(DAMAGES)('%s starts and works', async (_how, damage) => {
    const scenario = scenarioOf('container.create', 'from an image');
    const subject = subjectOf(scenario);
    await scenario.prepare(bench, subject);
    await bench.node.kill();
    const files = stateFiles();
    expect(files.length).toBeGreaterThan(8);
    for (const path of files) damage(path);
    await bench.restart();
    await scenario.prepare(bench, subject);
    await bench.succeed((order) => scenario.order(bench, subject, { ...order, fencingToken: 1n }));
    await scenario.cleanUp(bench, subject, true);
    expect(await bench.lastingLeftovers()).toEqual([]);
  });
});

describe('a second agent on a host', () => {
  it('is refused and touches nothing, also where the lock file of the first was unlinked', async () => {
    const scenario = scenarioOf('container.create', 'from a template');
    const subject = subjectOf(scenario);
    const order = bench.newOrder();
    expect(await bench.node.startAnother()).toMatch(/PXM_ALREADY_RUNNING/);
    const locks = readdirSync(bench.node.stateDir).filter((name) => /^lock(?:\.\d+)?$/.test(name));
    expect(locks).toHaveLength(1);
    for (const name of locks) rmSync(join(bench.node.stateDir, name));
    await scenario.order(bench, subject, order);
    expect(await bench.node.startAnother()).toMatch(/PXM_LISTEN_FAILED/);
    expect(await bench.ended(order)).toMatchObject({ recovery: '', problem: undefined });
    await scenario.cleanUp(bench, subject, true);
  });
});

describe('a journal whose unsynced end a power cut took', () => {
  it.each([0.2, 0.5, 0.8])('is undone or resumed all the same, from %d of it on', async (part) => {
    const scenario = scenarioOf('container.create', 'from a template');
    const point = {
      name: 'pct create dies, and the end of the journal is lost',
      sort: '',
      tool: { at: 'pct create', point: 'before-config', do: 'hang' } as const,
      killsTool: true,
    };
    const recover = async (): Promise<void> => {
      tearUnsynced(part);
      await bench.restart();
    };
    expect(await strike(bench, scenario, { deaths: [point], effects: [], recover })).toEqual([]);
  });
});

/** What stands after the last line that is synced, an intent or an outcome, may be lost from any byte on. */
function tearUnsynced(part: number): void {
  const [path] = stateFiles()
    .filter((one) => /\/op-[^/]+\.jsonl$/.test(one))
    .sort()
    .slice(-1);
  if (path === undefined) throw new Error('there is no journal');
  const text = readFileSync(path);
  const synced = Math.max(text.lastIndexOf('{"intent"'), text.lastIndexOf('{"outcome"'));
  const from = text.indexOf('\n', synced) + 1;
  expect(from).toBeLessThan(text.length);
  truncateSync(path, from + Math.floor((text.length - from) * part));
}
