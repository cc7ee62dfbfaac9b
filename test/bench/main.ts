/**
 * `npm run bench`: measures what the targets name and prints a table; asserts nothing.
 *
 *   --only NAME    only this target (repeatable); its whole probe runs
 *   --quick        small sizes: does it run?
 *   --seed N       of the synthetic fleet
 *   --json FILE    the same as data
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import type { Probe } from './probe.ts';
import { agentScan } from './probes/agent-scan.ts';
import { changeVisible } from './probes/change-visible.ts';
import { createContainer } from './probes/create.ts';
import { ingest } from './probes/ingest.ts';
import { placement1000, placement5000 } from './probes/placement.ts';
import { controllerProcess, idleAgent } from './probes/processes.ts';
import { simFleet } from './probes/sim-fleet.ts';
import { machine, type Row, rowOf, table } from './report.ts';
import { TARGETS } from './targets.ts';

const PROBES: readonly Probe[] = [
  placement1000,
  placement5000,
  ingest,
  controllerProcess,
  agentScan,
  changeVisible,
  idleAgent,
  createContainer,
  simFleet,
];

const { values: options } = parseArgs({
  options: {
    only: { type: 'string', multiple: true, default: [] },
    quick: { type: 'boolean', default: false },
    seed: { type: 'string', default: '20260101' },
    json: { type: 'string', default: '' },
  },
});

function say(line: string): void {
  process.stderr.write(`bench: ${line}\n`);
}

async function measure(probes: readonly Probe[]): Promise<{ rows: Row[]; failures: string[] }> {
  const rows: Row[] = [];
  const failures: string[] = [];
  for (const probe of probes) {
    say(probe.names.join(', '));
    try {
      const measured = await probe.run({ seed: Number(options.seed), quick: options.quick, say });
      rows.push(...measured.map(rowOf));
    } catch (error) {
      failures.push(`${probe.names.join(', ')}: ${error instanceof Error ? error.message : 'failed'}`);
    }
  }
  return { rows, failures };
}

for (const name of options.only) {
  if (TARGETS.some((target) => target.name === name)) continue;
  process.stderr.write(`--only ${name}: not one of ${TARGETS.map((target) => target.name).join(', ')}\n`);
  process.exit(2);
}
const wanted = PROBES.filter(
  ({ names }) => options.only.length === 0 || names.some((name) => options.only.includes(name)),
);
const at = new Date().toISOString();
say(`${machine()}, seed ${options.seed}${options.quick ? ', quick: figures mean nothing' : ''}`);
const { rows, failures } = await measure(wanted);
process.stdout.write(`\n${table(rows)}\n\n${rows.map((row) => `${row.name}: ${row.detail}`).join('\n')}\n`);
for (const failure of failures) process.stdout.write(`not measured: ${failure}\n`);
if (options.json !== '')
  writeFileSync(
    options.json,
    `${JSON.stringify({ at, machine: machine(), ...options, rows, failures }, undefined, 2)}\n`,
  );
process.exit(failures.length === 0 ? 0 : 1);
