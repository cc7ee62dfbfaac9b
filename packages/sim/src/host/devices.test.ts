import { existsSync, readdirSync, readFileSync, readlinkSync, realpathSync, rmSync, statSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { callTool, scratchHost } from '../scratch-host.ts';
import { nvidiaSmi } from '../tool/nvidia-smi.ts';
import { addGpu, addUsb, removeGpu, removeUsb } from './devices.ts';
import type { Host } from './host.ts';
import { isRoot } from './machine.ts';

let host: Host;
beforeEach(() => {
  host = scratchHost();
});
afterEach(() => rmSync(host.root, { recursive: true, force: true }));

function text(path: string): string {
  return readFileSync(host.path(path), 'utf8').trim();
}

describe('GPUs', () => {
  it.each([
    ['nvidia', '0x10de', 'nvidia'],
    ['amd', '0x1002', 'amdgpu'],
    ['intel', '0x8086', 'i915'],
  ] as const)('of %s are found where the kernel shows them', async (kind, vendor, driver) => {
    await addGpu(host, { kind, address: '0000:01:00.0', iommuGroup: 17 });
    const device = '/sys/bus/pci/devices/0000:01:00.0';
    expect([text(`${device}/vendor`), text(`${device}/class`)]).toEqual([vendor, '0x030000']);
    expect(
      readlinkSync(host.path(`${device}/driver`))
        .split('/')
        .pop(),
    ).toBe(driver);
    expect(
      readlinkSync(host.path(`${device}/iommu_group`))
        .split('/')
        .pop(),
    ).toBe('17');
    expect(readdirSync(host.path(`${device}/drm`)).sort()).toEqual(['card0', 'renderD128']);
    const render = realpathSync(host.path('/dev/dri/by-path/pci-0000:01:00.0-render'));
    expect(render).toBe(host.path('/dev/dri/renderD128'));
    if (isRoot())
      expect([statSync(render).isCharacterDevice(), statSync(render).mode & 0o777, statSync(render).gid]).toEqual([
        true,
        0o660,
        104,
      ]);
  });

  it('stay inside the host: no link leads out of its directory', async () => {
    await addGpu(host, { kind: 'nvidia', address: '0000:01:00.0' });
    const links = readdirSync(host.root, { recursive: true, withFileTypes: true }).filter(
      (entry) => entry.isSymbolicLink() && /drm|dri|pci/.test(entry.parentPath),
    );
    expect(links.length).toBeGreaterThan(4);
    for (const link of links)
      expect(realpathSync(`${link.parentPath}/${link.name}`).startsWith(`${host.root}/`)).toBe(true);
  });

  it('tell their memory as their driver does', async () => {
    await addGpu(host, { kind: 'amd', address: '0000:03:00.0' });
    await addGpu(host, { kind: 'nvidia', address: '0000:01:00.0', vramBytes: 8 * 1024 ** 3 });
    expect(text('/sys/bus/pci/devices/0000:03:00.0/mem_info_vram_total')).toBe(String(24 * 1024 ** 3));
    const smi = await callTool(nvidiaSmi, host, [
      '--query-gpu=pci.bus_id,memory.total',
      '--format=csv,noheader,nounits',
    ]);
    expect(smi).toEqual({ status: 0, stdout: '00000000:01:00.0, 8192\n', stderr: '' });
    expect(text('/proc/driver/nvidia/gpus/0000:01:00.0/information')).toMatch(/Model:\s+NVIDIA GeForce RTX 3060/);
    expect(existsSync(host.path('/dev/nvidia-uvm'))).toBe(true);
  });

  it('held for VMs have no nodes, and a removed one leaves none', async () => {
    await addGpu(host, { kind: 'amd', address: '0000:03:00.0', driver: 'vfio-pci' });
    expect(existsSync(host.path('/dev/dri'))).toBe(false);
    await addGpu(host, { kind: 'nvidia', address: '0000:01:00.0' });
    removeGpu(host, '0000:01:00.0');
    expect(readdirSync(host.path('/dev/dri'))).toEqual(['by-path']);
    expect(readdirSync(host.path('/dev/dri/by-path'))).toEqual([]);
    expect((await callTool(nvidiaSmi, host, [])).status).toBe(9);
  });
});

describe('USB devices', () => {
  const stick = {
    id: '1-4.2',
    vendorId: '0403',
    productId: '6015',
    manufacturer: 'FTDI',
    product: 'FT230X Basic UART',
    serial: 'D30ABC12',
    port: 'ttyUSB',
  } as const;

  it('have attributes, a bus node and a stable name for their port, until the plug is pulled', async () => {
    await addUsb(host, stick);
    expect([text('/sys/bus/usb/devices/1-4.2/idVendor'), text('/sys/bus/usb/devices/1-4.2/product')]).toEqual([
      '0403',
      'FT230X Basic UART',
    ]);
    const [name = ''] = readdirSync(host.path('/dev/serial/by-id'));
    expect(name).toBe('usb-FTDI_FT230X_Basic_UART_D30ABC12-if00-port0');
    expect(readlinkSync(host.path(`/dev/serial/by-id/${name}`))).toBe('../../ttyUSB0');
    expect(existsSync(host.path('/dev/bus/usb/001/002'))).toBe(true);
    removeUsb(host, '1-4.2');
    expect([
      readdirSync(host.path('/dev/serial/by-id')),
      existsSync(host.path('/dev/ttyUSB0')),
      readdirSync(host.path('/sys/bus/usb/devices')),
    ]).toEqual([[], false, []]);
  });
});
