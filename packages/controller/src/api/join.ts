import { parseNodeName } from '@pxmgr/contract';
import type { JoinServiceService } from '@pxmgr/contract/controller';
import { toPxmError } from '@pxmgr/kit/error/to-problem';
import type { Implementation } from '@pxmgr/kit/rpc/handlers';
import { ANONYMOUS } from '@pxmgr/kit/rpc/identity';
import type { Joining } from '../fleet/join.ts';
import type { Auditor } from './audit.ts';

const METHOD = 'JoinService/JoinNode';

/** The audit row of a node that is let in. */
export function recordJoin(auditor: Auditor, nodeUid: string, nodeName: string): void {
  auditor.record({ kind: 'agent', name: nodeUid }, { method: METHOD, target: nodeName }, 'OK');
}

/** The only service where callers have no certificate yet; every attempt is audited. */
export function joinService(joining: Joining, auditor: Auditor): Implementation<typeof JoinServiceService> {
  return {
    joinNode: async (request, context) => {
      const name = parseNodeName(request.nodeName);
      const what = { method: METHOD, target: name.ok ? name.value : '(no valid name)' };
      try {
        const answer = await joining.join(request);
        context.logger.info({ node: request.nodeName, uid: answer.nodeUid }, 'node joined');
        return answer;
      } catch (error) {
        auditor.refused({ identity: ANONYMOUS, ...what, error: toPxmError(error) });
        throw error;
      }
    },
  };
}
