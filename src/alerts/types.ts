import { Field, ID, InputType, ObjectType } from "type-graphql";
import { connectionOf } from "../graphql/pagination.ts";
import { GraphQLAnyJson } from "../graphql/scalars.ts";
import { fromWire, type IdPrefix, toWire } from "../ids.ts";
import type { AlertRow, AlertSearch } from "./store.ts";

@ObjectType({ description: "Something that somebody should look at.", simpleResolvers: true })
export class Alert {
  @Field(() => ID, { description: "`alr_…`" })
  id!: string;

  @Field(() => String, {
    description:
      "`key.leaked`, `key.exposed`, `key.rotation_due`, `wallet.low_balance`, `ledger.broken` or `retention.failed`.",
  })
  kind!: string;

  @Field(() => String, { description: "What it is about: an id such as `key_…` or `wal_…`, or a name." })
  subject!: string;

  @Field(() => GraphQLAnyJson, { description: "What there is to know about it. Never a secret." })
  details!: unknown;

  @Field(() => Date, { description: "When it was raised, by the database's clock." })
  createdAt!: Date;
}

export const AlertConnection = connectionOf(Alert, "Alert");

@InputType({ description: "Which alerts to list." })
export class AlertFilter {
  @Field(() => ID, { nullable: true, description: "Of this account only. Fails with NOT_FOUND." })
  accountId?: string | null;

  @Field(() => String, { nullable: true, description: "Of this kind only, e.g. `key.leaked`." })
  kind?: string | null;
}

const prefixes: Record<string, IdPrefix> = { key: "key", wallet: "wal" };

export function toAlert({ id, kind, subject, details, createdAt }: AlertRow): Alert {
  const [what = "", uuid = ""] = subject.split(":");
  const prefix = prefixes[what];
  return { id: toWire("alr", id), kind, subject: prefix ? toWire(prefix, uuid) : subject, details, createdAt };
}

export function toAlertSearch({ accountId, kind }: AlertFilter): AlertSearch {
  return { accountId: accountId == null ? undefined : fromWire("acc", accountId), kind: kind ?? undefined };
}
