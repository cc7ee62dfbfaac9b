/**
 * Committed placements per second: 64 clients that each plan one container after the other. Every placement looks at all
 * hosts, and when it is answered its reservation, plan and explanation are on disk. Rounds alternate between plain and
 * hard asks, so that a busy machine slows both.
 */
import { ContainerSpec } from '@pxmgr/contract/common';
import { digestsOf } from '../fleet.ts';
import { type Measured, median, type Probe, type ProbeOptions, range } from '../probe.ts';
import { openStage, type Stage } from '../stage.ts';

const CLIENTS = 64;
const GIB = 1024n ** 3n;
const MIB = 1024n ** 2n;
/** Sizes that are asked for by turns: what is remembered of one kind of wish does not serve all clients. */
const KINDS = 8;

type Ask = 'plain' | 'hard';

interface Sizes {
  readonly hosts: number;
  readonly guests: number;
  readonly roundMs: number;
  readonly rounds: number;
}

function specOf(ask: Ask, round: number): ContainerSpec {
  return ContainerSpec.fromPartial({
    name: `web-${String(round)}`,
    source: { $case: 'image', value: { reference: 'docker.io/library/nginx:1.27' } },
    networks: [{ name: 'eth0', bridge: 'vmbr0', ipv4: 'dhcp' }],
    cores: 1,
    memoryBytes: GIB / 2n + BigInt(round % KINDS) * MIB,
    ...(ask === 'hard' ? { gpu: { count: 1, vramBytes: GIB / 16n } } : {}),
  });
}

interface Round {
  /** Placements per second. */
  readonly rate: number;
  /** Microseconds of CPU per placement: what a busy machine leaves alone. */
  readonly cpu: number;
}

export async function round(stage: Stage, ask: Ask, { roundMs }: Pick<Sizes, 'roundMs'>): Promise<Round> {
  const uids = stage.view.nodes().map((node) => node.uid);
  const start = performance.now();
  const cpu = process.cpuUsage();
  let count = 0;
  const client = async (number: number): Promise<void> => {
    while (performance.now() - start < roundMs) {
      const excludeNodes = ask === 'hard' ? [uids[number] ?? '', uids[number + CLIENTS] ?? ''] : [];
      await stage.work.planner.planContainer({
        spec: specOf(ask, number),
        constraints: { node: '', excludeNodes, vmid: 0 },
        start: true,
        dryRun: false,
        showCommands: false,
        actor: 'operator:bench',
      });
      count += 1;
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, async (_, number) => await client(number)));
  const { user, system } = process.cpuUsage(cpu);
  return { rate: (count * 1000) / (performance.now() - start), cpu: (user + system) / count };
}

async function measure(options: ProbeOptions, sizes: Sizes): Promise<Record<Ask, Round[]>> {
  const [digest = ''] = digestsOf(options.seed);
  const stage = openStage(sizes, options.seed, { digest });
  const rates: Record<Ask, Round[]> = { plain: [], hard: [] };
  try {
    // The first rounds build the snapshots and warm the compiler.
    for (const ask of ['plain', 'hard'] as const) await round(stage, ask, { ...sizes, roundMs: sizes.roundMs / 2 });
    for (let i = 0; i < sizes.rounds; i += 1) {
      for (const ask of ['plain', 'hard'] as const) rates[ask].push(await round(stage, ask, sizes));
      options.say(
        `${String(sizes.hosts)} hosts, round ${String(i + 1)}: ${said(rates.plain.at(-1))} plain, ${said(rates.hard.at(-1))} hard`,
      );
    }
    checkStored(stage);
  } finally {
    await stage.close();
  }
  return rates;
}

function said(one: Round | undefined): string {
  return one === undefined ? '' : `${one.rate.toFixed(0)}/s (${one.cpu.toFixed(0)} us CPU)`;
}

/** A rate means something only when what was promised is there. */
function checkStored(stage: Stage): void {
  const count = (table: string): unknown => stage.database.sql.prepare(`SELECT count(*) FROM ${table}`).pluck().get();
  if (count('plan') !== count('reservation') || count('plan') !== count('evaluation'))
    throw new Error('plans, reservations and explanations differ in number');
  const id = stage.database.sql.prepare('SELECT id FROM evaluation ORDER BY at_ms DESC LIMIT 1').pluck().get();
  const explained = stage.work.records.evaluations.find(String(id))?.candidates.length;
  if (explained !== stage.view.nodes().length) throw new Error(`${String(explained)} hosts are explained`);
}

function probeOf(hosts: number, names: readonly string[]): Probe {
  return {
    names,
    run: async (options): Promise<readonly Measured[]> => {
      const sizes = options.quick
        ? { hosts: hosts / 10, guests: 10_000, roundMs: 500, rounds: 2 }
        : { hosts, guests: 100_000, roundMs: 2000, rounds: 5 };
      const { plain, hard } = await measure(options, sizes);
      const rates = plain.map((one) => one.rate);
      const about = `${String(sizes.hosts)} hosts, ${String(sizes.guests)} guests, ${String(CLIENTS)} clients, rounds ${range(rates)}/s, ${median(plain.map((one) => one.cpu)).toFixed(0)} us CPU each`;
      const result: Measured[] = [{ name: names[0] ?? '', value: median(rates), detail: about }];
      const ratios = rates.map((rate, i) => (100 * (hard[i]?.rate ?? 0)) / rate);
      if (names[1] !== undefined) {
        const cpu = median(hard.map((one) => one.cpu)).toFixed(0);
        const detail = `${median(hard.map((one) => one.rate)).toFixed(0)}/s, rounds ${range(ratios)} %, ${cpu} us CPU each`;
        result.push({ name: names[1], value: median(ratios), detail });
      }
      return result;
    },
  };
}

export const placement1000 = probeOf(1000, ['placement-1000', 'placement-hard']);
export const placement5000 = probeOf(5000, ['placement-5000']);
