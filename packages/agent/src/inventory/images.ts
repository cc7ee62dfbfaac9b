/** Pulled OCI images, as the image store records them. */
import type { ImageDocument } from '@pxmgr/contract/common';
import type { Collector, Observed } from './collector.ts';

/** What the inventory needs of the image store. */
export interface ImageRecords {
  /** All images whose archive is on this node. */
  list(): readonly ImageDocument[];
  /** Called after every change of the list; gives a function that ends it. */
  onChange(callback: () => void): () => void;
}

/** For a node whose image store is not there. */
export const NO_IMAGES: ImageRecords = { list: () => [], onChange: () => () => undefined };

export function imageCollector(records: ImageRecords): Collector {
  return {
    kind: 'image',
    collect: () => {
      const found = records
        .list()
        .map((value): Observed => ({ id: value.digest, document: { document: { $case: 'image', value } } }));
      return Promise.resolve(found.sort((a, b) => (a.id < b.id ? -1 : 1)));
    },
  };
}
