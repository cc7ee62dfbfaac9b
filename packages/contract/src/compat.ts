/** Version of the wire contract, and which versions may talk: the same one or its neighbour. */
export const CONTRACT_VERSION = 1;
export const PRODUCT_VERSION = '0.1.0';

export function mayTalk(ours: number, theirs: number): boolean {
  return Math.abs(ours - theirs) <= 1;
}
