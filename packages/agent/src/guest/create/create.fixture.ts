/** For tests of create: what pct does to a fixture host, and one create as an operation. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ContainerSpec, Operation } from '@pxmgr/contract/common';
import type { Command } from '@pxmgr/kit/exec/command';
import { createdConfig, type FixtureHost, specOf, UID } from '../host.fixture.ts';
import { createContainer } from './create.ts';

function isPct(verb: string): (command: Command) => boolean {
  return (command) => command.file === 'pct' && command.args[0] === verb;
}
export const isCreate = isPct('create');
export const isSet = isPct('set');
export const isDestroy = isPct('destroy');

/** What pct does when all goes well. */
export function goodCreate(host: FixtureHost): (command: Command) => void {
  return (command) => {
    putVolume(host, 'vm-101-disk-0.raw');
    host.putGuest(101, createdConfig(command));
    host.putTask('vzcreate', 101, 'TASK OK');
  };
}

export function goodDestroy(host: FixtureHost): () => void {
  return () => {
    host.dropGuest(101);
    rmSync(join(host.root, 'var/lib/vz/images/101'), { recursive: true, force: true });
    host.putTask('vzdestroy', 101, 'TASK OK');
  };
}

export function putVolume(host: FixtureHost, name: string): void {
  mkdirSync(join(host.root, 'var/lib/vz/images/101'), { recursive: true });
  writeFileSync(join(host.root, 'var/lib/vz/images/101', name), '');
}

export function dropVolume(host: FixtureHost, name: string): void {
  rmSync(join(host.root, 'var/lib/vz/images/101', name), { force: true });
}

export const CREATE_REQUEST = {
  kind: 'container.create',
  title: 'create',
  vmid: 101,
  keys: ['vmid:101'],
  params: { vmid: 101, guestUid: UID, finish: false },
};

/** Container 101 of the spec, to its end. */
export async function create(host: FixtureHost, spec: ContainerSpec = specOf()): Promise<Operation> {
  const store = host.newStore();
  const request = { vmid: 101, guestUid: UID, spec };
  const started = await store.start(CREATE_REQUEST, (work) => createContainer(host.parts, request, work));
  return await store.settled(started.id);
}

/** Command lines that ran, by their first argument. */
export function argvOf(host: FixtureHost, name: string): string[] {
  return host.runner.calls.filter((call) => call.args[0] === name).map((call) => call.args.join(' '));
}
