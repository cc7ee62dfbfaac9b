/** Failures while reading or unpacking an OCI image, worded as proxmox-rs proxmox-oci/src/lib.rs words them. */

export class ImageError extends Error {
  private constructor(message: string) {
    super(message);
    this.name = 'ImageError';
  }

  static parse(reason: string): ImageError {
    return new ImageError(`Error while parsing OCI image: ${reason}`);
  }

  static extract(reason: string): ImageError {
    return new ImageError(`Error while extracting OCI image: ${reason}`);
  }
}

const ERRNO: Readonly<Record<string, string>> = {
  EPERM: 'Operation not permitted (os error 1)',
  ENOENT: 'No such file or directory (os error 2)',
  EACCES: 'Permission denied (os error 13)',
  EBUSY: 'Device or resource busy (os error 16)',
  EEXIST: 'File exists (os error 17)',
  EXDEV: 'Invalid cross-device link (os error 18)',
  ENOTDIR: 'Not a directory (os error 20)',
  EISDIR: 'Is a directory (os error 21)',
  EINVAL: 'Invalid argument (os error 22)',
  ENOSPC: 'No space left on device (os error 28)',
  ENAMETOOLONG: 'File name too long (os error 36)',
  ELOOP: 'Too many levels of symbolic links (os error 40)',
};

/** The text of a failed system call or stream as the extractor's standard library prints it. */
export function ioText(err: unknown): string {
  const code = (err as NodeJS.ErrnoException).code ?? '';
  const known = ERRNO[code];
  if (known !== undefined) return known;
  if (code === 'Z_BUF_ERROR') return 'unexpected end of file';
  if (code.startsWith('Z_')) return 'corrupt deflate stream';
  if ((err as NodeJS.ErrnoException).errno === -122) return 'Disk quota exceeded (os error 122)';
  return err instanceof Error ? err.message : String(err);
}
