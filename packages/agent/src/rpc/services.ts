/**
 * rpc/: inward. One file per service, each only translates between messages and the rooms below; this file mounts
 * them. Who may call is decided in authorise.ts. The room may call every other room; none calls it but wire.
 */
import {
  DeviceServiceService,
  GuestServiceService,
  ImageServiceService,
  NodeServiceService,
  OperationServiceService,
  StorageServiceService,
} from '@pxmgr/contract/agent';
import type { RpcServer } from '@pxmgr/kit/rpc/server';
import { deviceService } from './device.ts';
import { guestService } from './guest.ts';
import { imageService } from './image.ts';
import { nodeService } from './node.ts';
import type { NodeView } from './node-view.ts';
import { operationService } from './operation.ts';
import { storageService } from './storage.ts';
import type { WorkStack } from './work-stack.ts';

/** All services of the agent. */
export function addServices(server: RpcServer, stack: WorkStack, view: NodeView): RpcServer {
  const { guests, store, fence } = stack;
  return server
    .addService(NodeServiceService, nodeService(view))
    .addService(GuestServiceService, guestService({ guests, store, fence, view }))
    .addService(ImageServiceService, imageService(stack.image))
    .addService(StorageServiceService, storageService(view))
    .addService(DeviceServiceService, deviceService(view))
    .addService(OperationServiceService, operationService(store));
}
