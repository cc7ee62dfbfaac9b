import type { DeviceServiceService } from '@pxmgr/contract/agent';
import type { Implementation } from '@pxmgr/kit/rpc/handlers';
import { documentsOf, type NodeView } from './node-view.ts';

/** GPUs and USB devices as last observed; only translation. */
export function deviceService(view: NodeView): Implementation<typeof DeviceServiceService> {
  return {
    listDevices: () => Promise.resolve({ gpus: documentsOf(view, 'gpu'), usb: documentsOf(view, 'usb') }),
  };
}
