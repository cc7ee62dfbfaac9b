/** `--mount SOURCE:TARGET[:ro]`: SOURCE is an absolute host path, a dataset (pool/name) or a size for a new volume. */
import { parseAbsolutePath, parseDatasetName, parseSize } from '@pxmgr/contract';
import { Mount } from '@pxmgr/contract/common';
import type { Problems } from './problems.ts';

function sourceOf(source: string, where: string, problems: Problems): Mount['source'] {
  if (source.startsWith('/')) {
    const path = problems.take(where, parseAbsolutePath(source));
    return path === undefined ? undefined : { $case: 'bind', value: path };
  }
  if (/^\d/.test(source)) {
    const bytes = problems.take(where, parseSize(source));
    return bytes === undefined ? undefined : { $case: 'volume', value: { storage: '', sizeBytes: BigInt(bytes) } };
  }
  const dataset = problems.take(where, parseDatasetName(source));
  return dataset === undefined ? undefined : { $case: 'dataset', value: dataset };
}

export function parseMount(text: string, problems: Problems): Mount | undefined {
  const where = `--mount ${text}`;
  const [source = '', target = '', mode, ...rest] = text.split(':');
  if (source === '' || target === '' || rest.length > 0) {
    problems.add(where, 'write SOURCE:TARGET or SOURCE:TARGET:ro');
    return undefined;
  }
  if (mode !== undefined && mode !== 'ro' && mode !== 'rw') problems.add(where, `"${mode}" is neither ro nor rw`);
  const path = problems.take(where, parseAbsolutePath(target));
  if (path === '/') problems.add(where, 'the root file system of the guest cannot be mounted over');
  const from = sourceOf(source, where, problems);
  if (path === undefined || from === undefined) return undefined;
  return Mount.fromPartial({ target: path, source: from, readOnly: mode === 'ro', backup: from.$case === 'volume' });
}
