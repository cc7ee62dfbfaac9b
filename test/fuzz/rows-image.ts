/** What images are made of: manifests, configurations, accounts, layers. */
import { Readable } from 'node:stream';
import { parseGroup, parsePasswd, resolveUser } from '@pxmgr/agent/image/accounts';
import { checkRunConfig } from '@pxmgr/agent/image/check-config';
import { LayerTree } from '@pxmgr/agent/image/layer-scan';
import { ImageJson, Index, Manifest } from '@pxmgr/agent/image/oci-types';
import { decideOsType } from '@pxmgr/agent/image/os-type';
import { hasControlCharacters } from '@pxmgr/contract';
import fc from 'fast-check';
import { expect } from 'vitest';
import { near, nearJson, nearLines } from './hostile.ts';
import { type Row, row, textRow } from './row.ts';

const DIGEST = `sha256:${'ab'.repeat(32)}`;

/** A configuration of an image, with something wrong in it. */
const image = {
  architecture: 'amd64',
  os: 'linux',
  config: {
    Entrypoint: ['/bin/x'],
    Cmd: null,
    Env: ['PATH=/bin'],
    User: '1000:1000',
    WorkingDir: '/srv',
    Volumes: { '/data': {} },
    StopSignal: 'SIGTERM',
    Labels: { a: 'b' },
  },
  rootfs: { type: 'layers', diff_ids: [DIGEST] },
};
const descriptor = { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest: DIGEST, size: 10 };

const entry = fc.record({
  name: near('etc/passwd', './etc/os-release', 'usr/.wh..wh..opq', 'etc/.wh.passwd', '/abs', '../up'),
  type: fc.constantFrom('file' as const, 'symlink' as const, 'directory' as const, 'link' as const, 'fifo' as const),
  linkname: near('etc/passwd', '/etc', '../..', '.'),
  uid: fc.nat(2 ** 21 - 1),
  body: fc.string({ maxLength: 20 }),
});

export const IMAGE_ROWS: readonly Row[] = [
  textRow(
    ['parsePasswd', 'parseGroup', 'resolveUser'],
    nearLines('root:x:0:0:root:/root:/bin/sh', 'app:x:1000:1000::/srv:', 'video:x:44:app'),
    (text) => {
      const accounts = { passwd: parsePasswd(text), groups: parseGroup(text), hasEtc: true };
      for (const user of ['', 'app', '1000:video', text.slice(0, 20)]) {
        const found = resolveUser(user, accounts);
        if (typeof found !== 'string')
          expect(
            [Number.isSafeInteger(found.uid), Number.isSafeInteger(found.gid)],
            JSON.stringify([user, text]),
          ).toEqual([true, true]);
      }
    },
  ),
  textRow(
    'ImageJson',
    nearJson(image),
    (text) => {
      const parsed = ImageJson.safeParse(JSON.parse(text));
      if (!parsed.success) return;
      const { config } = parsed.data;
      if (checkRunConfig(parsed.data).length > 0) return;
      const strings = [
        ...config.Entrypoint,
        ...config.Cmd,
        ...config.Env,
        config.User,
        config.WorkingDir,
        ...config.Volumes,
        config.StopSignal,
      ];
      expect(strings.filter(hasControlCharacters)).toEqual([]);
      for (const path of config.Volumes) expect(path).toMatch(/^\/[^,]+$/);
    },
    { mayThrow: ['SyntaxError'] },
  ),
  textRow(
    'Manifest',
    nearJson(
      { schemaVersion: 2, config: descriptor, layers: [descriptor] },
      { schemaVersion: 2, manifests: [{ ...descriptor, platform: { os: 'linux', architecture: 'amd64' } }] },
    ),
    (text) => {
      const json: unknown = JSON.parse(text);
      const manifest = Manifest.safeParse(json);
      if (manifest.success)
        for (const { digest, size } of [manifest.data.config, ...manifest.data.layers])
          expect([/^sha256:[0-9a-f]{64}$/.test(digest), size >= 0]).toEqual([true, true]);
      Index.safeParse(json);
    },
    { mayThrow: ['SyntaxError'] },
  ),
  textRow(
    'decideOsType',
    nearLines('ID=debian', 'ID="alpine"', "VERSION_ID='41'", 'DISTRIB_ID=Ubuntu', 'DISTRIB_RELEASE=24.04', '12.5'),
    (text) => {
      const { osType } = decideOsType((path) =>
        path === 'run' ? { type: 'directory' } : { type: 'file', body: Buffer.from(text) },
      );
      expect(osType).toMatch(/^[a-z]+$/);
    },
  ),
  row(
    'LayerTree',
    fc.array(entry, { maxLength: 5 }),
    async (entries) => {
      const archive = [...entries.map(tarEntry), Buffer.alloc(1024)];
      const tree = new LayerTree(['etc/passwd', 'etc/os-release'], 1);
      await tree.addLayer(Readable.from(archive), 'none');
      expect(tree.entryCount).toBe(entries.length);
      for (const path of ['etc/passwd', 'a/../../b', ...entries.map((one) => one.name)])
        expect(tree.resolve(path) ?? '').not.toMatch(/(?:^|\/)\.\.(?:\/|$)/);
    },
    { runs: 500 },
  ),
  row(
    'LayerTree',
    fc.uint8Array({ minLength: 512, maxLength: 2048 }),
    async (bytes) => {
      // Not a tar: it ends, with an error or with nothing in it.
      await new LayerTree([], 1).addLayer(Readable.from([Buffer.from(bytes)]), 'none').catch((error: unknown) => {
        expect(error).toBeInstanceOf(Error);
      });
    },
    { runs: 500 },
  ),
];

/** One entry of a tar as POSIX lays it out (ustar), whatever is in its fields. */
function tarEntry({ name, type, linkname, uid, body }: TarEntry): Buffer {
  const header = Buffer.alloc(512);
  header.write(name, 0, 100);
  header.write('0000644\0', 100);
  header.write(`${uid.toString(8).padStart(7, '0')}\0`, 108);
  header.write('0000000\0', 116);
  const content = Buffer.from(type === 'file' ? body : '');
  header.write(`${content.length.toString(8).padStart(11, '0')}\0`, 124);
  header.write('00000000000\0', 136);
  header.write('        ', 148);
  header.write(TYPE_FLAGS[type], 156);
  header.write(linkname, 157, 100);
  header.write('ustar\x0000', 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return Buffer.concat([header, content, Buffer.alloc((512 - (content.length % 512)) % 512)]);
}

interface TarEntry {
  readonly name: string;
  readonly type: keyof typeof TYPE_FLAGS;
  readonly linkname: string;
  readonly uid: number;
  readonly body: string;
}

const TYPE_FLAGS = { file: '0', link: '1', symlink: '2', directory: '5', fifo: '6' } as const;
