/**
 * Recorded steps of real Proxmox VE tools, run again on stand-in hosts in the recorded state. What the stand-in does
 * not claim is listed with its reason in replay/not-covered.json; the list is exact in both directions.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { historiesOf } from './replay/history.ts';
import { shellProblem } from './replay/host-shell.ts';
import { makeTemplates } from './replay/lab-files.ts';
import { isLive, LiveLabs, whyNotLive } from './replay/live-labs.ts';
import { imageNotesOf } from './replay/oci-images.ts';
import { hasRecordings, type RecordedStep, recordedSteps, zfsSteps } from './replay/recorded-step.ts';
import { judge, replayAll } from './replay/replay.ts';
import { replayRecordedStep } from './replay/replay-recorded-step.ts';
import { isOfTool, replayZfs } from './replay/replay-zfs.ts';
import { buildSimBundle } from './sim-bundle.ts';

type Reasons = Readonly<Record<string, readonly string[]>>;

const listed = JSON.parse(readFileSync(new URL('./replay/not-covered.json', import.meta.url), 'utf8')) as {
  readonly recorded: Reasons;
  readonly zfs: Reasons;
};
const LIMIT_MS = 1_800_000;
const folder = mkdtempSync(join(tmpdir(), 'pxmgr-template-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
if (!hasRecordings) process.stderr.write('skipped: replay of recorded steps (no recordings beside the checkout)\n');

/** Steps that look inside a running guest need a machine that can run one. */
async function runnableSteps(): Promise<{ steps: RecordedStep[]; left: ReadonlySet<string> }> {
  const all = recordedSteps();
  const reason = await whyNotLive();
  if (reason === undefined) return { steps: all, left: new Set() };
  const left = new Set(all.filter(isLive).map((step) => step.id));
  process.stderr.write(`skipped: ${left.size} recorded steps inside running guests (${reason})\n`);
  return { steps: all.filter((step) => !left.has(step.id)), left };
}

function without(reasons: Reasons, ids: ReadonlySet<string>): Reasons {
  return Object.fromEntries(
    Object.entries(reasons).map(([reason, listedIds]) => [reason, listedIds.filter((id) => !ids.has(id))]),
  );
}

describe.skipIf(!hasRecordings)('recorded steps of real tools', () => {
  it('of the dir lab: streams, status, tasks, configs, volumes and counters are the same', {
    timeout: LIMIT_MS,
  }, async () => {
    const template = makeTemplates(folder);
    const { steps, left } = await runnableSteps();
    const live = new LiveLabs();
    const at = { template, live, images: imageNotesOf(recordedSteps()), histories: historiesOf(recordedSteps()) };
    const replayed = await replayAll(steps, (step) => replayRecordedStep(step, at));
    await live.close();
    const { broken, listedInVain, summary } = judge('recorded', replayed, without(listed.recorded, left));
    process.stdout.write(summary);
    expect({ broken, listedInVain }).toEqual({ broken: [], listedInVain: [] });
  });

  it('of the ZFS lab: streams, status, datasets and configs are the same', { timeout: LIMIT_MS }, async () => {
    const problem = shellProblem();
    if (problem !== undefined) process.stderr.write(`skipped: recorded command lines of a shell (${problem})\n`);
    const steps = zfsSteps().filter((step) => problem === undefined || isOfTool(step));
    const known = new Set(steps.map((step) => step.id));
    const reasons = Object.fromEntries(
      Object.entries(listed.zfs).map(([reason, ids]) => [reason, ids.filter((id) => known.has(id))]),
    );
    const bundle = problem === undefined ? await buildSimBundle() : undefined;
    try {
      const replayed = await replayZfs(steps, bundle?.path);
      const { broken, listedInVain, summary } = judge('recorded-zfs', replayed, reasons);
      process.stdout.write(summary);
      expect({ broken, listedInVain }).toEqual({ broken: [], listedInVain: [] });
    } finally {
      bundle?.remove();
    }
  });
});
