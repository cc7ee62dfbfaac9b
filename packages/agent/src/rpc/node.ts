import type { NodeServiceService } from '@pxmgr/contract/agent';
import type { Implementation } from '@pxmgr/kit/rpc/handlers';
import { documentsOf, type NodeView, readKinds, toInventoryObject } from './node-view.ts';

/** Facts and inventory; only translation. */
export function nodeService(view: NodeView): Implementation<typeof NodeServiceService> {
  return {
    getNode: () => {
      const [node] = documentsOf(view, 'node');
      if (node === undefined) throw new Error('the node document is not in the view');
      return Promise.resolve({ nodeUid: view.nodeUid, node, generation: view.position().generation });
    },
    getInventory: ({ kinds }) => {
      const objects = view.objects(readKinds(kinds)).map((entry) => toInventoryObject(view, entry));
      return Promise.resolve({ ...view.position(), objects, knownKinds: view.knownKinds() });
    },
    resyncInventory: ({ kinds }) => Promise.resolve({ published: view.resync(readKinds(kinds)) }),
  };
}
