import { formatImageReference, type InventoryKind, parseImageReference } from '@pxmgr/contract';
import type { InventoryDocument, InventoryObject } from '@pxmgr/contract/common';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import type { FleetView } from '../domain/fleet-view.ts';
import type { GuestKeyInput, GuestSummary } from '../domain/guest.ts';
import type { NodeState } from '../domain/node-state.ts';

/** What a lookup needs to know. */
export interface ObjectKeyInput {
  readonly kind: InventoryKind;
  /** vmid, name, storage id, dataset, PCI address, digest or reference. */
  readonly key: string;
  readonly node?: string | undefined;
}

type Readable = Pick<FleetView, 'node' | 'objects' | 'object' | 'guests' | 'guestsByVmid'>;

/** Errors: PXM_GUEST_NOT_FOUND, PXM_GUEST_AMBIGUOUS, PXM_NODE_NOT_FOUND. */
export function findContainer(view: Readable, input: GuestKeyInput): InventoryObject {
  return findGuest(view, { ...input, kind: 'container' });
}

/** One object by what a person types. Errors as above, and PXM_OBJECT_NOT_FOUND for other kinds. */
export function findObject(view: Readable, input: ObjectKeyInput): InventoryObject {
  const { kind } = input;
  if (kind === 'container' || kind === 'vm') return findGuest(view, { ...input, kind });
  const node = nodeOf(view, input.node);
  const objects = view.objects(kind, node?.uid);
  const matches = objects.filter((object) => object.id === input.key);
  const found =
    matches.length > 0
      ? matches
      : objects.filter((object) =>
          otherNames(object.document).some((name) => name === input.key || name === normalise(kind, input.key)),
        );
  if (found.length === 0) throw new PxmError('PXM_OBJECT_NOT_FOUND', { kind, key: input.key });
  return theOnly(found, input.key);
}

function findGuest(view: Readable, input: GuestKeyInput & { kind: 'container' | 'vm' }): InventoryObject {
  const node = nodeOf(view, input.node);
  const guests = candidates(view, input, node);
  const first = guests[0];
  if (first === undefined)
    throw new PxmError('PXM_GUEST_NOT_FOUND', {
      guest: input.key,
      where: node === undefined ? '' : ` on ${node.name}`,
    });
  if (guests.length > 1)
    throw ambiguous(
      input.key,
      guests.map((guest) => `${String(guest.vmid)} on ${guest.nodeName}`),
    );
  const object = view.object(first.nodeUid, first.kind, String(first.vmid));
  if (object === undefined) throw new PxmError('PXM_GUEST_NOT_FOUND', { guest: input.key, where: '' });
  return object;
}

/** A number is a vmid first; a guest whose name is a number is found when no guest has that vmid. */
function candidates(
  view: Readable,
  input: GuestKeyInput & { kind: string },
  node: NodeState | undefined,
): readonly GuestSummary[] {
  const fits = (guest: GuestSummary): boolean =>
    guest.kind === input.kind && (node === undefined || guest.nodeUid === node.uid);
  const byVmid = /^[0-9]{3,9}$/.test(input.key) ? view.guestsByVmid(Number(input.key)).filter(fits) : [];
  return byVmid.length > 0 ? byVmid : view.guests(node?.uid).filter((guest) => fits(guest) && guest.name === input.key);
}

function nodeOf(view: Readable, key: string | undefined): NodeState | undefined {
  if (key === undefined || key === '') return undefined;
  const node = view.node(key);
  if (node === undefined) throw new PxmError('PXM_NODE_NOT_FOUND', { node: key });
  return node;
}

function theOnly(found: readonly InventoryObject[], key: string): InventoryObject {
  const [first, ...others] = found;
  if (first === undefined || others.length > 0)
    throw ambiguous(
      key,
      found.map((object) => `${object.id} on ${object.nodeName}`),
    );
  return first;
}

const MATCHES_SHOWN = 5;

function ambiguous(key: string, matches: readonly string[]): PxmError {
  const shown = matches.slice(0, MATCHES_SHOWN).join(', ') + (matches.length > MATCHES_SHOWN ? ', ...' : '');
  return new PxmError('PXM_GUEST_AMBIGUOUS', { key, count: String(matches.length), matches: shown });
}

function normalise(kind: InventoryKind, key: string): string {
  if (kind !== 'image') return key;
  const parsed = parseImageReference(key);
  return parsed.ok ? formatImageReference(parsed.value) : key;
}

/** Names besides the id that people know a thing by. */
function otherNames(document: InventoryDocument | undefined): readonly string[] {
  const inner = document?.document;
  switch (inner?.$case) {
    case 'node':
      return [inner.value.name];
    case 'image':
      return [inner.value.indexDigest, inner.value.volumeId, ...inner.value.references];
    case 'template':
      return [inner.value.fileName];
    case 'gpu':
      return [inner.value.address.replace(/^0000:/, '')];
    default:
      return [];
  }
}
