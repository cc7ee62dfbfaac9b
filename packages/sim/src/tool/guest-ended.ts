/** Not a program of a node: the post-stop hook of a really started guest (lxc/ended.ts), called with its id. */
import { guestEndedByItself } from '../lxc/ended.ts';
import type { Tool } from '../tool.ts';

export const guestEndedHook: Tool = async (host, argv) => {
  await guestEndedByItself(host, Number(argv[0]));
  return 0;
};
