/**
 * What reaches into a running VM: its guest agent, serial terminal, keyboard. No VM really runs here, so only what is
 * refused before can be told (qemu-server src/PVE/QemuServer/Agent.pm assert_agent_available, src/PVE/CLI/qm.pm).
 */
import { ToolError } from '../call/tool.ts';
import { isRunning, text, type Verb } from '../pct/context.ts';
import { loadVm } from './vm.ts';

export async function agent(verb: Verb): Promise<number> {
  const { values } = loadVm(verb.host, verb.vmid);
  if (!values.has('agent')) throw new ToolError('No QEMU guest agent configured\n');
  if (!isRunning(verb)) throw new ToolError(`VM ${verb.vmid} is not running\n`);
  throw new ToolError('QEMU guest agent is not running\n');
}

export async function terminal(verb: Verb): Promise<number> {
  const { values } = loadVm(verb.host, verb.vmid);
  const asked = text(verb, 'iface');
  if (asked !== undefined && !values.has(asked)) throw new ToolError(`serial interface '${asked}' is not configured\n`);
  if (asked !== undefined && values.get(asked) !== 'socket')
    throw new ToolError(`wrong serial type on interface '${asked}'\n`);
  const sockets = ['serial0', 'serial1', 'serial2', 'serial3'].filter((key) => values.get(key) === 'socket');
  if (sockets.length === 0) throw new ToolError('unable to find a serial interface\n');
  if (!isRunning(verb)) throw new ToolError(`VM ${verb.vmid} not running\n`);
  throw new ToolError('terminals are not part of this stand-in\n');
}

export async function sendkey(verb: Verb): Promise<number> {
  loadVm(verb.host, verb.vmid);
  if (!isRunning(verb)) throw new ToolError(`VM ${verb.vmid} not running\n`);
  return 0;
}

/** Nothing to wait for where nothing runs, whatever the id. */
export async function wait(verb: Verb): Promise<number> {
  if (!isRunning(verb)) return 0;
  throw new ToolError('waiting for a VM is not part of this stand-in\n');
}
