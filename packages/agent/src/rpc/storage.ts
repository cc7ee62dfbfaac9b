import type { StorageServiceService } from '@pxmgr/contract/agent';
import type { Implementation } from '@pxmgr/kit/rpc/handlers';
import { documentsOf, type NodeView } from './node-view.ts';

/** Storages and datasets as last observed; only translation. */
export function storageService(view: NodeView): Implementation<typeof StorageServiceService> {
  return {
    listStorages: () => Promise.resolve({ storages: documentsOf(view, 'storage') }),
    listDatasets: () => Promise.resolve({ datasets: documentsOf(view, 'dataset') }),
  };
}
