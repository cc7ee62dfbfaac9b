/** `npm run test:host`: the suite over a real host, one line a step; status 0 when every step went well and nothing is left. */
import { Course } from './course.ts';
import { LIFE_CYCLE } from './life-cycle.ts';
import { HELP, readOptions } from './options.ts';
import { SshTarget, type SshTargetOptions } from './ssh-target.ts';
import { Stage } from './stage.ts';
import { requireUsable, sweep } from './target.ts';

const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};
const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Stops at the first step that fails: the later ones build on it. True when all went well. */
async function walk(course: Course): Promise<boolean> {
  let done = 0;
  for (const step of LIFE_CYCLE) {
    try {
      await step.run(course);
    } catch (error) {
      say(`FAILED  ${step.title}\n        ${textOf(error).replaceAll('\n', '\n        ')}`);
      say(`${done} passed, 1 failed, ${LIFE_CYCLE.length - done - 1} skipped`);
      return false;
    }
    done += 1;
    say(`ok      ${step.title}`);
  }
  say(`${done} passed, 0 failed`);
  return true;
}

async function useHost(stage: Stage, options: SshTargetOptions): Promise<boolean> {
  const target = await SshTarget.connect(stage, options);
  try {
    await requireUsable(target);
  } catch (error) {
    await target.close();
    throw error;
  }
  say(
    `${target.name}: ids ${options.allowance.vmids.first}-${options.allowance.vmids.last}, ${options.allowance.storage}`,
  );
  try {
    return await walk(new Course(stage, target));
  } finally {
    await target.stopAgent();
    const left = await sweep(target);
    if (left.length > 0) say(`LEFT on ${target.name}, please remove by hand: ${left.join(', ')}`);
    await target.close();
  }
}

async function main(): Promise<number> {
  const read = readOptions(process.argv.slice(2));
  if (read === undefined) {
    say(HELP);
    return 0;
  }
  if ('problems' in read) {
    process.stderr.write(`${read.problems.map((problem) => `error: ${problem}`).join('\n')}\n\n${HELP}`);
    return 2;
  }
  const stage = await Stage.start();
  try {
    return (await useHost(stage, read.options)) ? 0 : 1;
  } catch (error) {
    process.stderr.write(`error: ${textOf(error)}\n`);
    return 1;
  } finally {
    await stage.stop();
  }
}

process.exitCode = await main();
