import type { Migration } from '../migrate.ts';
import { fleet } from './0001-fleet.ts';
import { attended } from './0002-attended.ts';
import { operators } from './0003-operators.ts';
import { tombstones } from './0004-tombstones.ts';
import { tokenKey } from './0005-token-key.ts';
import { work } from './0010-work.ts';
import { facts } from './0011-facts.ts';

/** Every migration. Numbers 1-9: fleet and inventory; 10-19: reservations, plans, operations, evaluations. */
export const MIGRATIONS: readonly Migration[] = [fleet, attended, operators, tombstones, tokenKey, work, facts];
