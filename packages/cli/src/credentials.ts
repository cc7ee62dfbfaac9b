/** The three files with which a person proves who they are. All that is wrong with them is told at once. */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import type { CliConfig } from './config.ts';
import { fileProblem } from './file-problem.ts';

export interface Credentials {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

type Setting = 'ca_file' | 'cert_file' | 'key_file';

class Reader {
  readonly problems: string[] = [];

  read(setting: Setting, path: string): string {
    if (path === '') this.problems.push(`${setting}: is not set, and a controller at host:port needs it`);
    else {
      try {
        return readFileSync(path, 'utf8');
      } catch (error) {
        this.problems.push(`${setting}: ${path} ${fileProblem(error)}`);
      }
    }
    return '';
  }

  /** What `make` makes of a file that was read; undefined with the problem noted. */
  take<T>(text: string, make: () => T, problem: string): T | undefined {
    if (text === '') return undefined;
    try {
      return make();
    } catch {
      this.problems.push(problem);
      return undefined;
    }
  }
}

/** Errors: PXM_CONFIG_INVALID. */
export function readCredentials(config: CliConfig, configFile: string): Credentials {
  const { ca_file, cert_file, key_file } = config;
  const reader = new Reader();
  const ca = reader.read('ca_file', ca_file);
  const cert = reader.read('cert_file', cert_file);
  const key = reader.read('key_file', key_file);
  reader.take(ca, () => new X509Certificate(ca), `ca_file: ${ca_file} holds no certificate`);
  const certificate = reader.take(
    cert,
    () => new X509Certificate(cert),
    `cert_file: ${cert_file} holds no certificate`,
  );
  const privateKey = reader.take(
    key,
    (): KeyObject => createPrivateKey(key),
    `key_file: ${key_file} holds no private key`,
  );
  if (certificate !== undefined && privateKey !== undefined && !certificate.checkPrivateKey(privateKey))
    reader.problems.push(`key_file: ${key_file} is not the key of ${cert_file}`);
  const { problems } = reader;
  if (problems.length === 0) return { ca, cert, key };
  throw new PxmError(
    'PXM_CONFIG_INVALID',
    { program: 'pxmgr', count: String(problems.length), problems: problems.join('; ') },
    {
      hint: `give --ca, --cert and --key, or set them in ${configFile}; "pxmgr operator create" makes these files`,
    },
  );
}
