/** Volume names, registry references and task ids of the stand-in against upstream's own verdicts. */
import { describe, expect, it } from 'vitest';
import { formatUpid, parseTaskStatus, parseUpid, taskLogPath } from '../../packages/contract/src/upid.ts';
import { normalFileName, parseVolumeId, parseVolumeName } from '../../packages/sim/src/storage/volume-names.ts';
import { hasSharedData, vectors } from './shared-data.ts';

interface NameCase {
  in: string;
  plugin: string;
  error?: { msg: string };
  vtype?: string;
  name?: string;
  vmid?: string;
  isBase?: number;
  basename?: string;
  format?: string;
}
interface IdCase {
  in: string;
  storage?: string;
  volname?: string;
  error?: { msg: string };
}
interface StorageNames {
  parse_volume_id?: IdCase[];
  parse_volname?: NameCase[];
  normalize_content_filename?: [string, string][];
}
interface UpidFile {
  upid?: {
    upid: string;
    logfile: string;
    fields: { node: string; pid: number; pstart: number; starttime: number; type: string; id: string; user: string };
  }[];
  task_status?: { status: string; type: string }[];
}

const names = vectors<StorageNames>('storage-names');
const upids = vectors<UpidFile>('upid');

describe.skipIf(!hasSharedData)('volume ids', () => {
  it.each((names.parse_volume_id ?? []).map((c) => [c.in, c] as const))('%s', (text, c) => {
    if (c.error !== undefined) expect(() => parseVolumeId(text)).toThrow(c.error.msg);
    else expect(parseVolumeId(text)).toEqual({ storage: c.storage, volname: c.volname });
  });
});

describe.skipIf(!hasSharedData)('volume names', () => {
  it.each((names.parse_volname ?? []).map((c) => [`${c.plugin} ${c.in}`, c] as const))('%s', (_, c) => {
    if (c.error !== undefined) {
      expect(() => parseVolumeName(c.plugin, c.in)).toThrow(c.error.msg);
      return;
    }
    const parsed = parseVolumeName(c.plugin, c.in);
    expect({ ...parsed, isBase: Number(parsed.isBase) }).toEqual({
      kind: c.vtype,
      name: c.name,
      isBase: c.isBase,
      format: c.format,
      ...(c.vmid === undefined ? {} : { vmid: Number(c.vmid) }),
      ...(c.basename === undefined ? {} : { base: c.basename }),
    });
  });
});

describe.skipIf(!hasSharedData)('file names of uploads and pulls', () => {
  it.each(names.normalize_content_filename ?? [])('%s', (given, stored) => {
    // A reference is cut at its tag's colon by the caller; here only the replacement is looked at.
    expect(normalFileName(given)).toBe(stored);
  });
});

describe.skipIf(!hasSharedData)('task ids', () => {
  it.each((upids.upid ?? []).map((c) => [c.upid, c] as const))('%s', (text, c) => {
    const { starttime, ...fields } = c.fields;
    const parsed = parseUpid(text);
    expect(parsed).toEqual({ ...fields, startTime: starttime });
    expect(parsed === undefined ? '' : formatUpid(parsed)).toBe(text);
    expect(parsed === undefined ? '' : taskLogPath(parsed)).toBe(c.logfile);
  });
  it.each((upids.task_status ?? []).filter((c) => c.status !== ''))('status $status', ({ status, type }) => {
    const kind = { ok: 'ok', warning: 'warnings', error: 'error', unknown: 'error' }[type];
    expect(parseTaskStatus(status).kind).toBe(kind);
  });
});
