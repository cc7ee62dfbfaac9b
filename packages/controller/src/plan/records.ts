import { EvaluationStore } from '../store/evaluations.ts';
import { FactStore } from '../store/facts.ts';
import type { Database } from '../store/open.ts';
import { OperationStore } from '../store/operations.ts';
import { PlanStore } from '../store/plans.ts';
import { ReservationStore } from '../store/reservations.ts';
import type { Seal } from '../store/seal.ts';
import { VmidStore } from '../store/vmids.ts';

/** The durable side of execution: repositories over one database. */
export interface Records {
  readonly database: Database;
  readonly evaluations: EvaluationStore;
  readonly facts: FactStore;
  readonly plans: PlanStore;
  readonly reservations: ReservationStore;
  readonly vmids: VmidStore;
  readonly operations: OperationStore;
}

export function createRecords(database: Database, seal: Seal): Records {
  const facts = new FactStore(database);
  return {
    database,
    evaluations: new EvaluationStore(database, facts),
    facts,
    plans: new PlanStore(database, seal),
    reservations: new ReservationStore(database),
    vmids: new VmidStore(database),
    operations: new OperationStore(database),
  };
}
