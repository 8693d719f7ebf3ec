import { Field, ID, InputType, Int, ObjectType } from "type-graphql";
import { connectionOf } from "../graphql/pagination.ts";
import { GraphQLAnyJson } from "../graphql/scalars.ts";
import { fromWire, toWire } from "../ids.ts";
import type { AuditRow, AuditSearch } from "./store.ts";

@ObjectType({ description: "One change that was made, chained to the one before it.", simpleResolvers: true })
export class AuditEvent {
  @Field(() => ID, { description: "`aud_…`" })
  id!: string;

  @Field(() => Int, { description: "Its place in the chain, from 1 on without gaps." })
  seq!: number;

  @Field(() => Date, { description: "When the change was made, by the database's clock." })
  createdAt!: Date;

  @Field(() => String, { description: "Who made it: `user:…`, `key:…`, or `system:…` for the server or its operator." })
  actor!: string;

  @Field(() => String, { nullable: true, description: "The address that the request came from." })
  ip!: string | null;

  @Field(() => String, { nullable: true, description: "The id of the request, as in its answer and in the log." })
  requestId!: string | null;

  @Field(() => String, { description: "Object and verb, e.g. `key.rotate`." })
  action!: string;

  @Field(() => String, { description: "The id of what was changed." })
  object!: string;

  @Field(() => GraphQLAnyJson, { nullable: true, description: "What it was; null for something new. Never a secret." })
  before!: unknown;

  @Field(() => GraphQLAnyJson, { nullable: true, description: "What it became; null for something that ended." })
  after!: unknown;

  @Field(() => String, { description: "SHA-256 of this event and `previousHash`, in hexadecimal digits." })
  hash!: string;

  @Field(() => String, { description: "The hash of the event before; 64 zeros for the first." })
  previousHash!: string;
}

export const AuditEventConnection = connectionOf(AuditEvent, "AuditEvent");

@ObjectType({ description: "Whether the chain of audit events is as it was written.", simpleResolvers: true })
export class AuditVerification {
  @Field(() => Boolean, { description: "Whether no event was altered, removed or moved." })
  intact!: boolean;

  @Field(() => Int, { description: "How many events, from the first one on, are as they were written." })
  verified!: number;

  @Field(() => String, { nullable: true, description: "What is wrong with the first event that is not." })
  fault!: string | null;

  @Field(() => String, {
    nullable: true,
    description:
      "Where the chain ends, as `seq:hash`. Kept outside of this database and given to `verifyAudit` later, it shows that nothing up to there was changed or cut off. Null when something is wrong.",
  })
  anchor!: string | null;
}

@InputType({ description: "Which audit events to list." })
export class AuditFilter {
  @Field(() => String, { nullable: true, description: "By this actor only, e.g. `user:…`." })
  actor?: string | null;

  @Field(() => String, { nullable: true, description: "Of this action only, e.g. `key.revoke`." })
  action?: string | null;

  @Field(() => ID, { nullable: true, description: "Of this object only, by its id." })
  object?: string | null;

  @Field(() => ID, { nullable: true, description: "Of this account's objects only. Fails with NOT_FOUND." })
  accountId?: string | null;

  @Field(() => Date, { nullable: true, description: "Not before this." })
  from?: Date | null;

  @Field(() => Date, { nullable: true, description: "Not after this." })
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
