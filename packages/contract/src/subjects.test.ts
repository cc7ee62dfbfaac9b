import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  eventSubject,
  heartbeatSubject,
  INVENTORY_KINDS,
  idFromToken,
  idToken,
  inboxPrefix,
  inventorySubject,
  manifestSubject,
  metricsSubject,
  nodeUidOf,
  parseInventorySubject,
  resyncSubject,
} from './subjects.ts';

const UID = 'n-abcdefgh234567ab';

describe('subjects', () => {
  it('carry any id as one token', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), fc.constantFrom(...INVENTORY_KINDS), (id, kind) => {
        // A lone surrogate is no text in UTF-8, so it cannot be a name either.
        fc.pre(Buffer.from(id, 'utf8').toString('utf8') === id);
        const subject = inventorySubject(UID, kind, id);
        expect(subject.split('.')).toHaveLength(5);
        expect(subject).not.toMatch(/[\s*>]/);
        expect(parseInventorySubject(subject)).toEqual({ nodeUid: UID, kind, id });
      }),
    );
  });

  it.each(['px.inv.n', 'px.ev.n.container.YQ', 'px.inv.n.nothing.YQ', 'px.inv.n.vm.YQ.x', ''])(
    'refuse %j',
    (subject) => {
      expect(parseInventorySubject(subject)).toBeUndefined();
    },
  );

  it('name the node they belong to', () => {
    for (const subject of [
      manifestSubject(UID),
      heartbeatSubject(UID),
      metricsSubject(UID),
      eventSubject(UID, 'task'),
      resyncSubject(UID),
    ])
      expect(nodeUidOf(subject)).toBe(UID);
    expect(nodeUidOf('other.hb.x')).toBeUndefined();
    expect(inboxPrefix(UID)).toBe(`_INBOX.${UID}`);
  });

  it('turn ids into tokens and back', () => {
    expect(idFromToken(idToken('local:vztmpl/a.tar'))).toBe('local:vztmpl/a.tar');
  });
});
