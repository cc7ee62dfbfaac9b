/** Options that are one word each: names, addresses, choices. The controller checks them again; here all are told at once. */
import { isIP } from 'node:net';
import { hasControlCharacters, parseNodeName, parseStorageId, parseTag } from '@pxmgr/contract';
import type { Problems } from './problems.ts';

const FEATURES = ['nesting', 'keyctl', 'fuse'];
/** `ostype` of a container: proxmox/pve-container src/PVE/LXC/Config.pm. */
const OS_TYPES = 'debian devuan ubuntu centos fedora opensuse archlinux alpine gentoo nixos unmanaged'.split(' ');
const DOMAIN = /^(?!-)[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})*$/;

interface Words {
  readonly storage: string | undefined;
  readonly tag: readonly string[];
  readonly feature: readonly string[];
  readonly entrypoint: readonly string[];
  readonly platform: string | undefined;
  readonly nameserver: readonly string[];
  readonly searchDomain: string | undefined;
  readonly osType: string | undefined;
  readonly description: string | undefined;
}

export function checkWords(options: Words, problems: Problems): void {
  checkLists(options, problems);
  const { storage, platform, searchDomain, osType, description } = options;
  if (storage !== undefined) problems.take(`--storage ${storage}`, parseStorageId(storage));
  if (platform !== undefined && !/^linux\/[a-z0-9]+(?:\/v[0-9]+)?$/.test(platform))
    problems.add(`--platform ${platform}`, 'write linux/amd64, linux/arm64 or linux/arm/v7');
  if (searchDomain !== undefined && !DOMAIN.test(searchDomain))
    problems.add(`--search-domain ${searchDomain}`, 'is not a domain name');
  if (osType !== undefined && !OS_TYPES.includes(osType))
    problems.add(`--os-type ${osType}`, `is not one of ${OS_TYPES.join(', ')}`);
  if (description !== undefined && hasControlCharacters(description.replaceAll('\n', ' ')))
    problems.add('--description', 'holds control characters');
}

function checkLists({ tag, feature, entrypoint, nameserver }: Words, problems: Problems): void {
  for (const word of tag) problems.take(`--tag ${word}`, parseTag(word));
  for (const word of feature)
    if (!FEATURES.includes(word)) problems.add(`--feature ${word}`, `is not one of ${FEATURES.join(', ')}`);
  if (entrypoint.some(hasControlCharacters)) problems.add('--entrypoint', 'holds control characters');
  if (entrypoint[0] === '') problems.add('--entrypoint', 'the program is empty');
  for (const address of nameserver)
    if (isIP(address) === 0) problems.add(`--nameserver ${address}`, 'is not an IP address');
}

interface Nodes {
  readonly node: string | undefined;
  readonly excludeNode: readonly string[];
}

export function checkNodes({ node, excludeNode }: Nodes, problems: Problems): void {
  if (node !== undefined) problems.take(`--node ${node}`, parseNodeName(node));
  for (const name of excludeNode) problems.take(`--exclude-node ${name}`, parseNodeName(name));
  if (node !== undefined && excludeNode.includes(node))
    problems.add(`--exclude-node ${node}`, 'is the node that --node names');
}
