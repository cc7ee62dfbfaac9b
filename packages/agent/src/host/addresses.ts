/** Addresses and listening ports of a network namespace, from the files below `/proc/PID/net`. */
import type { HostPaths } from './paths.ts';

export interface Address {
  /** 192.0.2.11/24 */
  readonly cidr: string;
  /** Interface that owns it; empty when the files do not tell. */
  readonly device: string;
}

interface Route {
  readonly device: string;
  readonly network: number;
  readonly bits: number;
}

function ipv4Number(text: string): number {
  return text.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
}

/** Routes are little-endian hex words (Linux net/ipv4/fib_trie.c fib_route_seq_show). */
function routes(text: string): Route[] {
  return text
    .split('\n')
    .slice(1)
    .flatMap((line) => {
      const fields = line.split('\t').map((field) => field.trim());
      const [device, destination, gateway] = fields;
      const mask = fields[7];
      if (device === undefined || destination === undefined || mask === undefined || gateway !== '00000000') return [];
      const word = (hex: string): number => Buffer.from(hex, 'hex').reverse().readUInt32BE(0);
      if (!/^[0-9A-F]{8}$/i.test(destination) || !/^[0-9A-F]{8}$/i.test(mask)) return [];
      return [{ device, network: word(destination), bits: Math.clz32(~word(mask)) }];
    });
}

/** Leaves followed by `/32 host LOCAL`. */
export function parseFibTrie(text: string): string[] {
  const found = new Set<string>();
  let leaf = '';
  for (const line of text.split('\n')) {
    const head = /^\s*\|--\s+([0-9.]+)\s*$/.exec(line);
    if (head !== null) leaf = head[1] ?? '';
    else if (/^\s+\/32 host LOCAL\s*$/.test(line) && !leaf.startsWith('127.')) found.add(leaf);
  }
  return [...found];
}

function ipv4(paths: HostPaths, folder: string): Address[] {
  const table = routes(paths.readIfThere(`${folder}/route`) ?? '').filter((route) => route.bits > 0);
  return parseFibTrie(paths.readIfThere(`${folder}/fib_trie`) ?? '').map((address) => {
    const number = ipv4Number(address);
    const fit = table
      .filter(
        (route) => Math.floor(number / 2 ** (32 - route.bits)) === Math.floor(route.network / 2 ** (32 - route.bits)),
      )
      .sort((a, b) => b.bits - a.bits)[0];
    return { cidr: `${address}/${fit?.bits ?? 32}`, device: fit?.device ?? '' };
  });
}

/** Shortest usual spelling: the longest run of zero groups becomes "::". */
export function formatIpv6(hex: string): string {
  const groups = (hex.match(/.{4}/g) ?? []).map((group) => Number.parseInt(group, 16).toString(16));
  let best = { at: -1, length: 1 };
  for (let at = 0; at < groups.length; at += 1) {
    let length = 0;
    while (groups[at + length] === '0') length += 1;
    if (length > best.length) best = { at, length };
  }
  if (best.at < 0) return groups.join(':');
  return `${groups.slice(0, best.at).join(':')}::${groups.slice(best.at + best.length).join(':')}`;
}

/** `if_inet6`: address, index, prefix length, scope, flags, device; scope 00 is global. */
export function parseIfInet6(text: string): Address[] {
  return text.split('\n').flatMap((line) => {
    const [hex, , bits, scope, , device] = line.trim().split(/\s+/);
    if (!/^[0-9a-f]{32}$/i.test(hex ?? '') || !/^[0-9a-f]{2}$/i.test(bits ?? '') || scope !== '00') return [];
    return [{ cidr: `${formatIpv6(hex ?? '')}/${Number.parseInt(bits ?? '', 16)}`, device: device ?? '' }];
  });
}

/** Global addresses of the namespace; `folder` is a path inside the host such as `/proc/4711/net`. */
export function addressesOf(paths: HostPaths, folder: string): Address[] {
  return [...ipv4(paths, folder), ...parseIfInet6(paths.readIfThere(`${folder}/if_inet6`) ?? '')];
}

/** State 0A is LISTEN (Linux include/net/tcp_states.h); a tcp6 any-address listener also serves IPv4. */
export function listeningPortsOf(paths: HostPaths, folder: string): number[] {
  const ports = new Set<number>();
  for (const name of ['tcp', 'tcp6']) {
    for (const line of (paths.readIfThere(`${folder}/${name}`) ?? '').split('\n').slice(1)) {
      const fields = line.trim().split(/\s+/);
      const port = fields[1]?.split(':')[1];
      if (fields[3] === '0A' && port !== undefined) ports.add(Number.parseInt(port, 16));
    }
  }
  return [...ports].sort((a, b) => a - b);
}
