import { type Evaluation, PlacementServiceClient } from '@pxmgr/contract/controller';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { controllerOf } from '../../client.ts';
import { argument, command } from '../../command.ts';
import { EXIT_INFEASIBLE } from '../../exit.ts';
import { renderEvaluation } from '../../render/explanation.ts';
import { detail } from '../../result.ts';
import { buildConstraints, buildSpec, CONTAINER_OPTIONS } from '../../spec/container-options.ts';
import { Problems } from '../../spec/problems.ts';
import { pageOf } from '../page.ts';

function isStored(text: string): boolean {
  // A mistyped id is no image: the controller says that it does not know it.
  return /^(?:ev|pl|op)-[a-z0-9]*$/.test(text);
}

export const placeExplain = command({
  path: 'place explain',
  summary: 'Explain where a container would go, or why one went where it is',
  description:
    'WHAT is an image or template with the same options as "run" (nothing is reserved or created), or the id of an evaluation, plan or operation. Exit code 7 when no node fits.',
  args: [{ name: 'WHAT', help: 'image, template, or ev-/pl-/op- id', complete: 'image' }],
  options: CONTAINER_OPTIONS,
  examples: [
    'pxmgr place explain docker.io/jellyfin/jellyfin --gpu amd --mount tank/media:/media',
    'pxmgr place explain op-01kahq5v3m8n9p7r6s5t4w2x1y',
  ],
  run: async (context, input) => {
    const what = argument(input, 0);
    let evaluation: Evaluation | undefined;
    if (isStored(what)) {
      ({ evaluation } = await controllerOf(context).ask(PlacementServiceClient, 'getEvaluation', { id: what }));
    } else {
      const problems = new Problems();
      const spec = buildSpec(what, input.options, problems);
      const constraints = buildConstraints(input.options, problems);
      problems.refuse();
      ({ evaluation } = await controllerOf(context).askSlow(PlacementServiceClient, 'evaluatePlacement', {
        spec,
        constraints,
      }));
    }
    if (evaluation === undefined) throw new PxmError('PXM_EVALUATION_NOT_FOUND', { id: what });
    const lines = renderEvaluation(evaluation, pageOf(context), 'all');
    return detail({
      noun: 'Evaluation',
      name: evaluation.id,
      lines,
      json: evaluation,
      exit: evaluation.chosenNodeUid === '' ? EXIT_INFEASIBLE : 0,
    });
  },
});
