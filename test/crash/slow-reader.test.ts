/**
 * Who asks for output and then does not read it: what writes is held back, nobody keeps the bytes, others go on. The
 * reader is the shipped command line tool under SIGSTOP, which keeps its connection and answers nothing.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { InventoryServiceClient, OperationServiceClient } from '@pxmgr/contract/controller';
import type { RunningCommand } from '@pxmgr/kit/exec/command';
import { createChannel } from '@pxmgr/kit/rpc/channel';
import { staticBusybox } from '@pxmgr/sim/image.fixture';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { NodeProcess } from '../../deploy/stand/node.ts';
import { waitFor } from '../../deploy/stand/wait.ts';
import { residentMb } from '../bench/process-figures.ts';
import { errorCode, TEST_LIMIT_MS, TestFleet, WAIT_LIMIT_MS } from '../e2e/fleet.ts';
import { processesOf } from '../e2e/traces.ts';

vi.setConfig({ testTimeout: TEST_LIMIT_MS, hookTimeout: TEST_LIMIT_MS });

const TOTAL_BYTES = 200e6;
/** Pipes, sockets, HTTP/2 windows and sixteen messages at each of four ends are a few megabytes. */
const UNDER_WAY_BYTES = 32e6;
const RSS_GROWTH_MB = 64;
const WATCHERS = 30;
/** So many looks without a byte more, and the writer is held. */
const STILL_LOOKS = 40;
/** Of every program that is read here, so that it is found again. */
const WORD = `slow-reader-${process.pid}`;

let fleet: TestFleet;
let node: NodeProcess;
/** The image's own file, which the guest prints again and again, each time with its number before it. */
const block = staticBusybox();
const blocks = Math.ceil(TOTAL_BYTES / block.length);

beforeAll(async () => {
  fleet = await TestFleet.start({ nodes: ['pve2'], runtime: 'here' });
  node = fleet.node('pve2');
  await fleet.cli.text(['run', await fleet.image('web'), '--name', 'web']);
});
afterAll(async () => {
  // One that a failed case has left stopped would stay for ever.
  for (const { pid, argv } of processesOf('slow-reader-'))
    if (argv.includes('exec') && argv.some((word) => word.startsWith(`: ${WORD}`))) process.kill(pid, 'SIGKILL');
  await fleet.stop();
});

/** Nothing runs in a guest that is only played; the fleet prints the reason. */
const isReal = (): boolean => fleet.runtime.kind === 'lxc';

interface Reader {
  readonly call: RunningCommand;
  readonly output: Readable;
  /** Of the program inside. */
  readonly word: string;
}

let readers = 0;

/** A reader that is stopped when its output has begun to come; the program inside is held when this returns. */
async function stoppedReader(options: readonly string[] = []): Promise<Reader> {
  readers += 1;
  const word = `${WORD}-${readers}`;
  const script = `: ${word}; i=0; while [ $i -lt ${blocks} ]; do echo "block $i"; cat /bin/busybox; i=$((i+1)); done`;
  const call = fleet.cli.start(['container', 'exec', 'web', ...options, '--', 'sh', '-c', script]);
  const output = call.stdout;
  await new Promise((resolve) => output.once('readable', resolve));
  process.kill(call.pid ?? 0, 'SIGSTOP');
  let last = -1;
  let looks = 0;
  await waitFor('the program inside is held', WAIT_LIMIT_MS, () => {
    const now = writtenBy(word);
    looks = now === last ? looks + 1 : 0;
    last = now;
    return looks >= STILL_LOOKS ? true : undefined;
  });
  return { call, output, word };
}

function inside(word: string): number[] {
  return processesOf(word)
    .filter(({ argv }) => argv[0] === 'sh')
    .map(({ pid }) => pid);
}

/** By the program and by those of its children that have ended; all of it when it has ended itself. */
function writtenBy(word: string): number {
  try {
    return Number(/^wchar: (\d+)$/m.exec(readFileSync(`/proc/${inside(word)[0] ?? 'none'}/io`, 'utf8'))?.[1]);
  } catch {
    return TOTAL_BYTES;
  }
}

async function nothingLeft(word: string): Promise<void> {
  await waitFor('the program inside has ended, and its record', WAIT_LIMIT_MS, () =>
    inside(word).length === 0 && readdirSync(join(node.stateDir, 'execs')).length === 0 ? true : undefined,
  );
}

function expected(): string {
  const hash = createHash('sha256');
  for (let at = 0; at < blocks; at += 1) hash.update(`block ${at}\n`).update(block);
  return hash.digest('hex');
}

async function hashOf(output: Readable): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of output) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

/** Reads one message of a stream and no more, until it is asked to go on. */
async function beginOnly<T>(stream: AsyncGenerator<T>): Promise<() => Promise<T[]>> {
  const first = await stream.next();
  return async () => {
    const messages = first.done === true ? [] : [first.value];
    for await (const message of stream) messages.push(message);
    return messages;
  };
}

describe('a reader that does not read', () => {
  it('holds back what it asked for and nothing else, and gets all of it when it reads on', async () => {
    if (!isReal()) return;
    const daemons = { agent: node.pid, controller: fleet.controller.pid };
    const before = { agent: residentMb(daemons.agent), controller: residentMb(daemons.controller) };
    const { call, output, word } = await stoppedReader();
    // Over the same connection of the controller to the agent.
    expect(await fleet.cli.text(['container', 'exec', 'web', '--', 'echo', 'still here'])).toBe('still here\n');
    expect((await fleet.containers()).map(({ name }) => name)).toEqual(['web']);
    expect(writtenBy(word)).toBeLessThan(UNDER_WAY_BYTES);
    expect(residentMb(daemons.agent) - before.agent).toBeLessThan(RSS_GROWTH_MB);
    expect(residentMb(daemons.controller) - before.controller).toBeLessThan(RSS_GROWTH_MB);
    process.kill(call.pid ?? 0, 'SIGCONT');
    expect(await hashOf(output)).toBe(expected());
    expect((await call.done).exitCode).toBe(0);
    await nothingLeft(word);
  });

  it('is killed: the program inside ends, and whoever passed its output on lives', async () => {
    if (!isReal()) return;
    const daemons = [node.pid, fleet.controller.pid];
    const { call, output, word } = await stoppedReader();
    process.kill(call.pid ?? 0, 'SIGKILL');
    output.destroy();
    await nothingLeft(word);
    expect(await fleet.cli.text(['container', 'exec', 'web', '--', 'echo', 'still here'])).toBe('still here\n');
    expect([node.pid, fleet.controller.pid]).toEqual(daemons);
    expect([node.isAlive, fleet.controller.isAlive]).toEqual([true, true]);
  });

  it('does not keep a program beyond its time', async () => {
    if (!isReal()) return;
    const { call, output, word } = await stoppedReader(['--timeout', '5s']);
    await nothingLeft(word);
    // It was still connected, and is told.
    process.kill(call.pid ?? 0, 'SIGCONT');
    output.resume();
    expect(errorCode(await call.done)).toBe('PXM_COMMAND_TIMEOUT');
  });
});

describe('watchers that do not read', () => {
  it('delay nobody and miss nothing', async () => {
    const channel = createChannel({ address: `unix:${fleet.controller.socket}`, peer: { kind: 'controller' } });
    const operations = channel.client(OperationServiceClient);
    const inventory = channel.client(InventoryServiceClient);
    const everything = { kinds: [], node: '', sendCurrent: true };
    const id = (await fleet.cli.text(['container', 'stop', 'web', '--detach', '-o', 'name'])).trim();
    const watchers = Array.from({ length: WATCHERS }, () => ({
      objects: channel.callStream(inventory, 'watchInventory', everything),
      events: channel.callStream(operations, 'watchOperation', { id, afterSeq: 0n }),
    }));
    const readOn = await Promise.all(
      watchers.map(async ({ objects, events }) => {
        await objects.next();
        return await beginOnly(events);
      }),
    );
    expect((await fleet.ended(id)).state).toBe('done');
    for (const read of readOn) {
      const seqs = (await read()).map(({ event }) => Number(event?.seq));
      expect(seqs.length).toBeGreaterThan(2);
      expect(seqs).toEqual(seqs.map((_, at) => at + 1));
    }
    for (const { objects } of watchers) await objects.return();
    channel.close();
  });
});
