import type { Clock } from '@pxmgr/kit/clock';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { validityOf } from '@pxmgr/kit/pki/certificate';
import { identityUri, parseIdentityUri, ROOT_IDENTITY, type Role } from '@pxmgr/kit/rpc/identity';
import type { Pki } from './pki.ts';

export interface OperatorRecord {
  readonly serial: string;
  readonly name: string;
  readonly role: Role;
  readonly createdAt: Date;
  readonly expiresAt: Date;
  readonly revokedAt: Date | undefined;
  readonly createdBy: string;
}

/** Durable side. */
export interface OperatorRecords {
  list(): OperatorRecord[];
  insert(record: Omit<OperatorRecord, 'revokedAt'>): void;
  revoke(serials: readonly string[], at: Date): void;
}

export interface OperatorOrder {
  readonly name: string;
  readonly role: string;
  readonly certificateRequest: string;
  /** Who asks. */
  readonly actor: string;
}

const ROLES: readonly string[] = ['viewer', 'operator', 'admin'];

/** People with certificates. What is not in the books opens no door, even when our CA signed it. */
export class Operators {
  readonly #records: OperatorRecords;
  readonly #pki: Pki;
  readonly #clock: Clock;
  readonly #bySerial = new Map<string, OperatorRecord>();

  constructor(records: OperatorRecords, pki: Pki, clock: Clock) {
    this.#records = records;
    this.#pki = pki;
    this.#clock = clock;
    for (const record of records.list()) this.#bySerial.set(record.serial, record);
  }

  /** Booked before it is handed out. Errors: PXM_INPUT_INVALID (all problems at once). */
  async create(order: OperatorOrder): Promise<{ certificate: string; operator: OperatorRecord }> {
    const { name } = order;
    const role = checkedRole(order);
    const certificate = await this.#pki.signOperator(order.certificateRequest, name, role);
    const { serial, notAfter } = validityOf(certificate);
    const createdAt = this.#clock.now();
    const operator = { serial, name, role, createdAt, expiresAt: notAfter, createdBy: order.actor };
    this.#records.insert(operator);
    const booked = { ...operator, revokedAt: undefined };
    this.#bySerial.set(serial, booked);
    return { certificate, operator: booked };
  }

  /** By name, then by age; without `all` only what still opens a door. */
  list(all: boolean): OperatorRecord[] {
    const known = all ? [...this.#bySerial.values()] : [...this.#bySerial.values()].filter((one) => this.#isValid(one));
    return known.sort(
      (a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0) || a.createdAt.getTime() - b.createdAt.getTime(),
    );
  }

  /** Every valid certificate of a name. Errors: PXM_OPERATOR_NOT_FOUND when there is none. */
  revoke(name: string): OperatorRecord[] {
    const found = this.list(false).filter((one) => one.name === name);
    if (found.length === 0) throw new PxmError('PXM_OPERATOR_NOT_FOUND', { operator: name });
    const revokedAt = this.#clock.now();
    this.#records.revoke(
      found.map((one) => one.serial),
      revokedAt,
    );
    return found.map((one) => {
      const revoked = { ...one, revokedAt };
      this.#bySerial.set(one.serial, revoked);
      return revoked;
    });
  }

  /** True for a serial number that was revoked or was never booked. */
  isRevoked(serial: string): boolean {
    const known = this.#bySerial.get(serial);
    return known === undefined || known.revokedAt !== undefined;
  }

  #isValid(one: OperatorRecord): boolean {
    return one.revokedAt === undefined && one.expiresAt > this.#clock.now();
  }
}

function checkedRole({ name, role }: OperatorOrder): Role {
  const problems: string[] = [];
  const known = ROLES.includes(role) ? (role as Role) : undefined;
  if (known === undefined) problems.push(`role must be one of ${ROLES.join(', ')}`);
  if (parseIdentityUri(identityUri({ kind: 'operator', name, role: known ?? 'viewer' }))?.name !== name)
    problems.push('name must be up to 64 letters, digits, ".", "_", "@" and "-", and begin with a letter or digit');
  // In logs and history it would read like whoever comes over the UNIX socket.
  if (name === ROOT_IDENTITY.name) problems.push(`the name ${name} is taken by root on the controller's machine`);
  if (known === undefined || problems.length > 0)
    throw new PxmError('PXM_INPUT_INVALID', { count: String(problems.length), problems: problems.join('; ') });
  return known;
}
