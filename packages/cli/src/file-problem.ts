/** Why a file that the user named cannot be read, as the end of a sentence. */
import { systemCode } from '@pxmgr/kit/error/to-problem';

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'does not exist',
  EACCES: 'may not be read by this user',
  EISDIR: 'is a folder',
};

export function fileProblem(error: unknown): string {
  return REASONS[systemCode(error) ?? ''] ?? 'cannot be read';
}
