import * as z from 'zod';

/** Shapes of the OCI image format (opencontainers/image-spec), as far as we look at them. */
export const INDEX_TYPES = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
] as const;
export const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
export const OCI_CONFIG = 'application/vnd.oci.image.config.v1+json';
export const DOCKER_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json';

/** How a layer's bytes are packed, by media type; a type that is absent cannot be unpacked by Proxmox. */
export const LAYER_PACKING: Readonly<Record<string, 'none' | 'gzip' | 'zstd'>> = {
  'application/vnd.oci.image.layer.v1.tar': 'none',
  'application/vnd.oci.image.layer.v1.tar+gzip': 'gzip',
  'application/vnd.oci.image.layer.v1.tar+zstd': 'zstd',
  'application/vnd.oci.image.layer.nondistributable.v1.tar': 'none',
  'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip': 'gzip',
  'application/vnd.oci.image.layer.nondistributable.v1.tar+zstd': 'zstd',
};

export const DIGEST = /^sha256:[0-9a-f]{64}$/;

export const Descriptor = z.looseObject({
  mediaType: z.string().default(''),
  digest: z.string().regex(DIGEST, 'not a sha256 digest'),
  size: z.number().int().nonnegative(),
  platform: z.looseObject({ architecture: z.string(), os: z.string(), variant: z.string().optional() }).optional(),
});
export type Descriptor = z.infer<typeof Descriptor>;

export const Index = z.looseObject({ mediaType: z.string().optional(), manifests: z.array(Descriptor) });
export type Index = z.infer<typeof Index>;

export const Manifest = z.looseObject({
  mediaType: z.string().optional(),
  config: Descriptor,
  layers: z.array(Descriptor),
});
export type Manifest = z.infer<typeof Manifest>;

const Words = z
  .array(z.string())
  .nullish()
  .transform((words) => words ?? []);
const Keys = z
  .record(z.string(), z.unknown())
  .nullish()
  .transform((map) => Object.keys(map ?? {}).sort());

/** `config` of an image configuration; names as the format spells them. */
export const RunConfig = z.looseObject({
  Entrypoint: Words,
  Cmd: Words,
  Env: Words,
  User: z
    .string()
    .nullish()
    .transform((text) => text ?? ''),
  WorkingDir: z
    .string()
    .nullish()
    .transform((text) => text ?? ''),
  Volumes: Keys,
  ExposedPorts: Keys,
  StopSignal: z
    .string()
    .nullish()
    .transform((text) => text ?? ''),
  Labels: z
    .record(z.string(), z.string())
    .nullish()
    .transform((map) => map ?? {}),
});
export type RunConfig = z.infer<typeof RunConfig>;

export const EMPTY_RUN_CONFIG: RunConfig = RunConfig.parse({
  Entrypoint: null,
  Cmd: null,
  Env: null,
  User: null,
  WorkingDir: null,
  Volumes: null,
  ExposedPorts: null,
  StopSignal: null,
  Labels: null,
});

export const ImageJson = z.looseObject({
  architecture: z.string().default(''),
  os: z.string().default(''),
  created: z.string().nullish(),
  config: RunConfig.nullish().transform((config) => config ?? EMPTY_RUN_CONFIG),
  rootfs: z.looseObject({ type: z.string().optional(), diff_ids: z.array(z.string()) }),
});
export type ImageJson = z.infer<typeof ImageJson>;
