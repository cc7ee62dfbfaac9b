/**
 * The quick round: formatting, lint, types, layers, dead code, generated texts, unit tests.
 * Steps that do not disturb each other run side by side; every one is reported, a failure does not stop the rest.
 */
import { spawn } from 'node:child_process';

interface Step {
  readonly name: string;
  readonly script: string;
  readonly args?: readonly string[];
}

/** Lines run one after the other; the steps of a line run side by side (two cores are enough). */
const LINES: readonly (readonly Step[])[] = [
  [
    { name: 'types', script: 'types' },
    { name: 'format', script: 'format:check' },
    { name: 'layers', script: 'layers' },
    { name: 'dead code', script: 'dead' },
    { name: 'generated code', script: 'gen:proto', args: ['--check'] },
    { name: 'generated docs', script: 'gen:docs', args: ['--check'] },
  ],
  [
    { name: 'lint', script: 'eslint' },
    { name: 'unit tests', script: 'unit' },
  ],
];

interface Outcome {
  readonly name: string;
  readonly ok: boolean;
}

async function run(step: Step): Promise<Outcome> {
  const started = performance.now();
  const chunks: Buffer[] = [];
  const child = spawn('npm', ['run', '--silent', step.script, '--', ...(step.args ?? [])], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk));
  const ok = await new Promise<boolean>((resolve) => {
    child.on('error', () => {
      resolve(false);
    });
    child.on('close', (code) => {
      resolve(code === 0);
    });
  });
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  process.stdout.write(`check: ${ok ? 'ok    ' : 'FAILED'} ${step.name} (npm run ${step.script}, ${seconds} s)\n`);
  if (!ok) process.stdout.write(`${Buffer.concat(chunks).toString('utf8').trimEnd()}\n`);
  return { name: step.name, ok };
}

const outcomes: Outcome[] = [];
for (const line of LINES) {
  process.stdout.write(`check: running ${line.map((step) => step.name).join(', ')}\n`);
  outcomes.push(...(await Promise.all(line.map(run))));
}
const failed = outcomes.filter((outcome) => !outcome.ok).map((outcome) => outcome.name);
process.stdout.write(failed.length === 0 ? 'check: all good\n' : `check: failed: ${failed.join(', ')}\n`);
process.exitCode = failed.length === 0 ? 0 : 1;
