import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { containerSyntax } from '../guest/syntax.ts';
import { decodeText, encodeText } from './code.ts';
import { emptyConfig, parseConfig, printConfig } from './guest-config.ts';

const TEXT = `#first%3A line
#100%25
arch: amd64
hostname: web
memory: 512
net0: name=eth0,bridge=vmbr0,hwaddr=BC:24:11:00:00:01,type=veth
ostype: debian
rootfs: local:100/vm-100-disk-0.raw,size=4G
lxc.environment.runtime: A=1
lxc.environment.runtime: B=two words
lxc.init.uid: 1000
lxc.environment.hooks: PXMGR_GUEST=0123

[pve:pending]
delete: mp0
memory: 1024

[before]
arch: amd64
memory: 512
ostype: debian
rootfs: local:100/vm-100-disk-0.raw,size=4G
snaptime: 1700000000
`;

describe('config text', () => {
  it('is printed as it was read', () => {
    const { config, warnings } = parseConfig(TEXT, 100, containerSyntax);
    expect(warnings).toEqual([]);
    expect(config.values.get('description')).toBe('first: line\n100%\n');
    expect(config.values.get('env')).toBe('A=1\0B=two words');
    expect(config.raw).toEqual([
      ['lxc.init.uid', '1000'],
      ['lxc.environment.hooks', 'PXMGR_GUEST=0123'],
    ]);
    expect(config.pending.values.get('memory')).toBe('1024');
    expect(printConfig(config)).toBe(TEXT);
  });

  it('keeps unknown plain keys and drops raw keys that upstream drops', () => {
    const { config, warnings } = parseConfig(
      'foo: bar\nlxc.rootfs.path: /x\nlxc.bad.key: 1\nmemory: abc\n',
      180,
      containerSyntax,
    );
    expect(warnings).toEqual([
      "vm 180 - unable to parse value of 'foo' - unknown setting 'foo'\n",
      'vm 180 - lxc.rootfs.path: lxc.rootfs.path is auto generated from rootfs',
      'vm 180 - unable to parse config: lxc.bad.key: 1',
      "vm 180 - unable to parse value of 'memory' - type check ('integer') failed - got 'abc'\n",
    ]);
    expect(printConfig(config)).toBe('foo: bar\nmemory: abc\n');
  });

  it('sorts keys by bytes whatever the order they were set in', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray(['cores', 'memory', 'mp0', 'mp10', 'mp2', 'net0', 'swap']), (keys) => {
        const config = emptyConfig();
        for (const key of keys) config.values.set(key, '1');
        expect(printConfig(config)).toBe(
          [...keys]
            .sort()
            .map((key) => `${key}: 1\n`)
            .join(''),
        );
      }),
    );
  });

  it('encodes any text so that it comes back', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        expect(decodeText(encodeText(text))).toBe(text);
      }),
    );
  });
});
