import type { Command, CommandResult } from '@pxmgr/kit/exec/command';

/**
 * argv of skopeo. Nothing of the machine's or the caller's defaults is used silently: policy, credentials file and
 * scratch folder are always named, the platform is always ours, and the format is always OCI (an archive with Docker
 * media types is detected by Proxmox as OCI and then refused).
 */
export interface SkopeoSetup {
  /** Scratch folder on a file system with room; skopeo's default is /var/tmp and it ignores TMPDIR. */
  readonly tmpDir: string;
  readonly policyFile: string;
  /** JSON with `auths` per registry; never creds in argv. */
  readonly authFile: string;
  /** host[:port] that may be spoken to without verified TLS. */
  readonly insecureRegistries: readonly string[];
}

export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant: string;
}

/** The controller waits a minute for the answer, which may need more than one of these. */
const INSPECT_TIMEOUT_MS = 40_000;
const QUESTION_TIMEOUT_MS = 10_000;
/** Four hours: a slow line and a large image. The operation can be cancelled at any time. */
const COPY_TIMEOUT_MS = 4 * 3_600_000;
/** Only for copies: somebody waits for an inspection, and skopeo's pauses between tries double. */
const RETRY_TIMES = '3';

/** "linux/amd64", "linux/arm/v7". */
export function parsePlatform(text: string): Platform | undefined {
  const match = /^([a-z0-9]+)\/([a-z0-9_]+)(?:\/(v[0-9]+))?$/.exec(text);
  if (match === null) return undefined;
  return { os: match[1] ?? '', architecture: match[2] ?? '', variant: match[3] ?? '' };
}

export function formatPlatform(platform: Platform): string {
  return `${platform.os}/${platform.architecture}${platform.variant === '' ? '' : `/${platform.variant}`}`;
}

/** Registry host of "host/path...". */
export function registryOf(name: string): string {
  return name.split('/', 1)[0] ?? name;
}

/** The bytes of the manifest or index that `name` ("host/path:tag" or "host/path@sha256:...") stands for. */
export function inspectRaw(setup: SkopeoSetup, name: string): Command {
  return inspect(setup, name, { flags: ['--raw'], purpose: `read the manifest of ${name}` });
}

/** The image configuration as OCI JSON. */
export function inspectConfig(setup: SkopeoSetup, name: string, platform: Platform): Command {
  return inspect(setup, name, { flags: ['--config'], purpose: `read the configuration of ${name}`, platform });
}

/**
 * A rate limit is waited for without a word (containers/image docker/docker_client.go, up to a minute for each of five
 * tries): only its debug lines tell of it. Not used for the reading itself: they also hold texts of failures that are none.
 */
export function askWhySilent(command: Command): Command {
  return {
    ...command,
    args: ['--debug', ...command.args],
    purpose: 'ask why the registry does not answer',
    timeoutMs: QUESTION_TIMEOUT_MS,
    killGraceMs: 1000,
  };
}

/** What `askWhySilent` has brought. */
export function tellsOfLimit({ stderr }: CommandResult): boolean {
  return /level=debug msg="Too many requests to /.test(stderr);
}

export interface CopyToLayout {
  /** host/path@sha256:... */
  readonly name: string;
  readonly platform: Platform;
  readonly layoutDir: string;
  readonly imageName: string;
  readonly sharedBlobDir: string;
}

/** Into an OCI layout; blobs that the shared folder already has are not fetched again. */
export function copyToLayout(setup: SkopeoSetup, copy: CopyToLayout): Command {
  return {
    file: 'skopeo',
    args: [
      ...globalFlags(setup, copy.platform),
      'copy',
      ...[
        '--authfile',
        setup.authFile,
        `--src-tls-verify=${verifyTls(setup, copy.name)}`,
        '--retry-times',
        RETRY_TIMES,
      ],
      ...['--format', 'oci', '--remove-signatures', '--dest-oci-accept-uncompressed-layers'],
      ...['--dest-shared-blob-dir', copy.sharedBlobDir],
      `docker://${copy.name}`,
      `oci:${copy.layoutDir}:${copy.imageName}`,
    ],
    purpose: `fetch ${copy.name}`,
    timeoutMs: COPY_TIMEOUT_MS,
  };
}

function inspect(
  setup: SkopeoSetup,
  name: string,
  options: { flags: readonly string[]; purpose: string; platform?: Platform },
): Command {
  return {
    file: 'skopeo',
    args: [
      ...globalFlags(setup, options.platform),
      'inspect',
      ...options.flags,
      ...['--authfile', setup.authFile, `--tls-verify=${verifyTls(setup, name)}`],
      `docker://${name}`,
    ],
    purpose: options.purpose,
    timeoutMs: INSPECT_TIMEOUT_MS,
    maxOutputBytes: 8 * 1024 * 1024,
    readOnly: true,
  };
}

function globalFlags(setup: SkopeoSetup, platform: Platform | undefined): string[] {
  const flags = ['--policy', setup.policyFile, '--tmpdir', setup.tmpDir];
  if (platform === undefined) return flags;
  flags.push('--override-os', platform.os, '--override-arch', platform.architecture);
  if (platform.variant !== '') flags.push('--override-variant', platform.variant);
  return flags;
}

function verifyTls(setup: SkopeoSetup, name: string): boolean {
  return !setup.insecureRegistries.includes(registryOf(name));
}
