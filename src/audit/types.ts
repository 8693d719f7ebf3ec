import { Field, ID, InputType, Int, ObjectType } from "type-graphql";
import { connectionOf } from "../graphql/pagination.ts";
import { GraphQLAnyJson } from "../graphql/scalars.ts";
import { fromWire, toWire } from "../ids.ts";
import type { AuditRow, AuditSearch } from "./store.ts";

@ObjectType({
  description: "An audit event: one change, chained by its hash to the event before it.",
  simpleResolvers: true,
})
export class AuditEvent {
  @Field(() => ID, { description: "The event's id, `aud_…`." })
  id!: string;

  @Field(() => Int, { description: "The event's position in the chain: 1 for the first, without gaps." })
  seq!: number;

  @Field(() => Date, { description: "When the change was made, by the database's clock." })
  createdAt!: Date;

  @Field(() => String, {
    description: "The actor that made the change: `user:…`, `key:…`, or `system:…` for the server or its operator.",
  })
  actor!: string;

  @Field(() => String, { nullable: true, description: "The IP address of the request; null where there was none." })
  ip!: string | null;

  @Field(() => String, {
    nullable: true,
    description: "The id of the HTTP request, as in its response and in the log; null where there was none.",
  })
  requestId!: string | null;

  @Field(() => String, { description: "The action: object and verb, e.g. `key.rotate`." })
  action!: string;

  @Field(() => String, { description: "The id of the changed object." })
  object!: string;

  @Field(() => GraphQLAnyJson, {
    nullable: true,
    description: "The object before the change; null for a new object. Never contains a secret.",
  })
  before!: unknown;

  @Field(() => GraphQLAnyJson, {
    nullable: true,
    description: "The object after the change; null for a deleted object. Never contains a secret.",
  })
  after!: unknown;

  @Field(() => String, { description: "SHA-256 over `previousHash` and this event, in hexadecimal digits." })
  hash!: string;

  @Field(() => String, { description: "The hash of the previous event; 64 zeros for the first event." })
  previousHash!: string;
}

export const AuditEventConnection = connectionOf(AuditEvent, "AuditEvent");

@ObjectType({ description: "The result of verifying the audit's hash chain.", simpleResolvers: true })
export class AuditVerification {
  @Field(() => Boolean, { description: "True if no event was altered, removed or moved." })
  intact!: boolean;

  @Field(() => Int, {
    description: "The number of the last intact event: events 1 to this one are as they were written.",
  })
  verified!: number;

  @Field(() => String, {
    nullable: true,
    description: "The fault of the first event that is not intact; null when all are.",
  })
  fault!: string | null;

  @Field(() => String, {
    nullable: true,
    description:
      "The end of the chain, as `seq:hash`; null when the chain is not intact. Store it outside this database and pass it to `verifyAudit` later: that proves that no event up to it was changed or removed.",
  })
  anchor!: string | null;
}

@InputType({ description: "Filters audit events." })
export class AuditFilter {
  @Field(() => String, { nullable: true, description: "Only events of this actor, e.g. `user:…`." })
  actor?: string | null;

  @Field(() => String, { nullable: true, description: "Only events of this action, e.g. `key.revoke`." })
  action?: string | null;

  @Field(() => ID, { nullable: true, description: "Only events of this object, by its id." })
  object?: string | null;

  @Field(() => ID, {
    nullable: true,
    description: "Only events of this account's objects, `acc_…`. Fails with NOT_FOUND.",
  })
  accountId?: string | null;

  @Field(() => Date, { nullable: true, description: "Only events at or after this timestamp." })
  from?: Date | null;

  @Field(() => Date, { nullable: true, description: "Only events at or before this timestamp." })
  to?: Date | null;
}

export function toAuditEvent({ seq, httpRequestId, accountId: _account, ...row }: AuditRow): AuditEvent {
  return { ...row, id: toWire("aud", row.id), seq: Number(seq), requestId: httpRequestId };
}

export function toAuditSearch({ actor, action, object, accountId, from, to }: AuditFilter): AuditSearch {
  return {
    actor: actor ?? undefined,
    action: action ?? undefined,
    object: object ?? undefined,
    accountId: accountId == null ? undefined : fromWire("acc", accountId),
    from: from ?? undefined,
    to: to ?? undefined,
  };
}
