import { describe, expect, it } from 'vitest';
import { hostTree } from '../host/host-tree.fixture.ts';
import { readUsbDevices } from './usb.ts';

const USB = '/sys/bus/usb/devices';

describe('readUsbDevices', () => {
  it('gives a serial adapter its stable name first, and leaves hubs and interfaces out', () => {
    const tree = hostTree({
      [`${USB}/usb1/bDeviceClass`]: '09\n',
      [`${USB}/1-4/bDeviceClass`]: '09\n',
      [`${USB}/1-4.2/bDeviceClass`]: '00\n',
      [`${USB}/1-4.2/idVendor`]: '0403\n',
      [`${USB}/1-4.2/idProduct`]: '6001\n',
      [`${USB}/1-4.2/manufacturer`]: 'FTDI\n',
      [`${USB}/1-4.2/product`]: 'FT232R\n',
      [`${USB}/1-4.2/serial`]: 'A1B2\n',
      [`${USB}/1-4.2/busnum`]: '1\n',
      [`${USB}/1-4.2/devnum`]: '7\n',
      '/dev/ttyUSB0': '',
      '/dev/bus/usb/001/007': '',
    })
      .folder(`${USB}/1-4.2/1-4.2:1.0/ttyUSB0`)
      .folder(`${USB}/1-4.2:1.0`)
      .link('/dev/serial/by-id/usb-FTDI_FT232R_A1B2-if00-port0', '../../ttyUSB0');
    expect(readUsbDevices(tree.paths)).toEqual([
      {
        id: '1-4.2',
        vendorId: '0403',
        productId: '6001',
        manufacturer: 'FTDI',
        product: 'FT232R',
        serial: 'A1B2',
        devicePaths: ['/dev/serial/by-id/usb-FTDI_FT232R_A1B2-if00-port0', '/dev/bus/usb/001/007'],
      },
    ]);
  });

  it('finds ports of modems, which lie in tty/, by their plain name when there is no other', () => {
    const tree = hostTree({ '/dev/ttyACM0': '' }).folder(`${USB}/2-1/2-1:1.0/tty/ttyACM0`);
    expect(readUsbDevices(tree.paths)).toMatchObject([{ id: '2-1', devicePaths: ['/dev/ttyACM0'] }]);
  });

  it('is empty without USB', () => {
    expect(readUsbDevices(hostTree().paths)).toEqual([]);
  });
});
