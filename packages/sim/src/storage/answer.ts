/** How long a storage takes to answer: at once, unless a switch makes it slow or dead. */
import { setTimeout as sleep } from 'node:timers/promises';
import { currentCall, requireAlive } from '../call/call.ts';
import { switchesOf } from '../call/switches.ts';
import { ToolError } from '../call/tool.ts';
import type { Host } from '../host/host.ts';
import type { Storage } from '../text/storage-cfg.ts';

const FOR_EVER_MS = 2 ** 31 - 1;

/** Asked before anything is done with a storage. A program that waits for a dead server hears no SIGTERM. */
export async function answerOf(host: Host, storage: Storage): Promise<void> {
  requireAlive();
  const { slowStorages, deadStorages } = switchesOf(host);
  if (deadStorages?.includes(storage.id) === true) await waitForEver(storage);
  const ms = slowStorages?.[storage.id] ?? 0;
  if (ms > 0) await sleep(ms);
}

/** Only for callers that somebody can kill; the daemons of the stand-in itself pass over such a storage. */
async function waitForEver(storage: Storage): Promise<never> {
  const call = currentCall();
  if (call === undefined) throw new ToolError(`storage '${storage.id}' is not online\n`);
  const death = call.io.death?.signal;
  // Without a door of its own the process must live until it is killed; with one, the wait ends with the call.
  await sleep(FOR_EVER_MS, undefined, death === undefined ? {} : { signal: death, ref: false }).catch(() => undefined);
  return new Promise(() => undefined);
}
