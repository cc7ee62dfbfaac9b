/** The post-stop hook of a really started guest, as a process: `guest-ended.ts ROOT VMID`. */
import { Host } from '../host.ts';
import { guestEndedByItself } from '../lxc/ended.ts';

const [root = '', vmid = ''] = process.argv.slice(2);
await guestEndedByItself(Host.open(root), Number(vmid));
