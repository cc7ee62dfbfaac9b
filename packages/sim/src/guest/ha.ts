/**
 * High availability as the tools for containers see it: sections of ha/resources.cfg, and commands left for the
 * cluster's resource manager (pve-ha-manager src/PVE/HA/Config.pm). No manager runs here, so what is asked for stays asked.
 */

import { readPveFile, writePveFile } from '../cluster/pmxcfs.ts';
import type { Host } from '../host/host.ts';

const RESOURCES = 'ha/resources.cfg';
const COMMANDS = 'ha/crm_commands';

/** One section: `ct: 100` and its tab-indented options. */
interface Resource {
  readonly sid: string;
  readonly options: ReadonlyMap<string, string>;
}

export function haResources(host: Host): Resource[] {
  const sections = (readPveFile(host, RESOURCES) ?? '').split(/\n(?=\S)/);
  return sections.flatMap((section) => {
    const [, type, id] = /^(\w+):\s*(\S+)/.exec(section) ?? [];
    if (type === undefined || id === undefined) return [];
    const options = [...section.matchAll(/^\s+(\S+)(?:[ \t]+(.*))?$/gm)];
    return [{ sid: `${type}:${id}`, options: new Map(options.map(([, key = '', value = '']) => [key, value])) }];
  });
}

function write(host: Host, list: readonly Resource[]): void {
  const text = ({ sid, options }: Resource): string =>
    `${sid.replace(':', ': ')}\n${[...options].map(([key, value]) => `\t${key} ${value}\n`).join('')}\n`;
  writePveFile(host, { path: RESOURCES, text: list.map(text).join('') });
}

export function isConfigured(host: Host, vmid: number): boolean {
  return haResources(host).some(({ sid }) => sid === `ct:${vmid}`);
}

/** An ignored resource behaves as if HA did not know it; a VM of that id counts too. */
export function isHaManaged(host: Host, vmid: number): boolean {
  return haResources(host).some(
    ({ sid, options }) => (sid === `ct:${vmid}` || sid === `vm:${vmid}`) && options.get('state') !== 'ignored',
  );
}

/** `ha-manager add ct:<id> --state`. */
export function addResource(host: Host, vmid: number, state: 'started' | 'stopped'): void {
  write(host, [...haResources(host), { sid: `ct:${vmid}`, options: new Map([['state', state]]) }]);
}

/** `ha-manager set ct:<id> --state started`. */
export function requestStart(host: Host, vmid: number): void {
  const set = (one: Resource): Resource =>
    one.sid === `ct:${vmid}` ? { ...one, options: new Map([...one.options, ['state', 'started']]) } : one;
  write(host, haResources(host).map(set));
}

/** `ha-manager crm-command`: a line for the manager. */
export function leaveCommand(host: Host, command: string): void {
  writePveFile(host, { path: COMMANDS, text: `${readPveFile(host, COMMANDS) ?? ''}${command}\n` });
}

export function removeResource(host: Host, vmid: number): void {
  write(
    host,
    haResources(host).filter(({ sid }) => sid !== `ct:${vmid}`),
  );
}
