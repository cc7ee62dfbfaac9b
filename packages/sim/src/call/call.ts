/**
 * The call that runs now: one tool, started by somebody, that may be told to die. Everything the tools change goes
 * through a few doors (the cluster file system, the volumes, a task's log); each asks here whether its caller is still
 * alive, so that a call which died inside a process that lives on changes nothing more, not even to clean up.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { ToolIo } from './tool.ts';

export interface Call {
  readonly tool: string;
  readonly command: string;
  readonly vmid: number;
  readonly io: ToolIo;
  /** The innermost task's, for what runs in its body. */
  readonly worker?: Worker;
}

/** The process that upstream forks for a task. Here it shares its process with the command that waits for it. */
export interface Worker {
  readonly death: AbortController;
  /** Nobody reads the output any more; the worker dies of its next line. */
  isAlone: boolean;
}

/** Thrown by every door once the call or its worker is dead. Nothing catches it but the frame of the call. */
export class Died extends Error {}

const calls = new AsyncLocalStorage<Call>();

export function inCall<T>(call: Call, section: () => Promise<T>): Promise<T> {
  return calls.run(call, section);
}

/** undefined outside any tool: a fixture, a daemon. */
export function currentCall(): Call | undefined {
  return calls.getStore();
}

/** Asked by every door before it changes something. */
export function requireAlive(): void {
  const call = currentCall();
  if (call === undefined) return;
  if (call.io.death?.signal.aborted === true || call.worker?.death.signal.aborted === true) throw new Died();
}

/** SIGKILL to the whole call, as far as this process can give it. Locks of the call are let go at once. */
export function dieNow(): never {
  const call = currentCall();
  if (call?.io.death === undefined) process.kill(process.pid, 'SIGKILL');
  else call.io.death.die();
  throw new Died();
}

/** Aborted when whoever holds a lock is gone. */
export function deathSignal(io: ToolIo): AbortSignal | undefined {
  const signals = [io.death?.signal, currentCall()?.worker?.death.signal].filter((signal) => signal !== undefined);
  return signals.length === 0 ? undefined : AbortSignal.any(signals);
}
