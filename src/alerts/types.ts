import { Field, ID, InputType, ObjectType } from "type-graphql";
import { connectionOf } from "../graphql/pagination.ts";
import { GraphQLAnyJson } from "../graphql/scalars.ts";
import { fromWire, type IdPrefix, toWire } from "../ids.ts";
import { alertKinds } from "./kinds.ts";
import type { AlertRow, AlertSearch } from "./store.ts";

const anyOf = new Intl.ListFormat("en-GB", { type: "disjunction" });

@ObjectType({
  description: "An alert: an event that needs attention, such as a leaked key or a low balance.",
  simpleResolvers: true,
})
export class Alert {
  @Field(() => ID, { description: "The alert's id, `alr_…`." })
  id!: string;

  @Field(() => String, {
    description: `The kind of alert: ${anyOf.format(Object.values(alertKinds).map((kind) => `\`${kind}\``))}.`,
  })
  kind!: string;

  @Field(() => String, { description: "The object of the alert: an id such as `key_…` or `wal_…`, or a name." })
  subject!: string;

  @Field(() => GraphQLAnyJson, { description: "Facts about the alert, by kind. Never contains a secret." })
  details!: unknown;

  @Field(() => Date, { description: "When the alert was raised, by the database's clock." })
  createdAt!: Date;
}

export const AlertConnection = connectionOf(Alert, "Alert");

@InputType({ description: "Filters alerts." })
export class AlertFilter {
  @Field(() => ID, { nullable: true, description: "Only alerts of this account, `acc_…`. Fails with NOT_FOUND." })
  accountId?: string | null;

  @Field(() => String, { nullable: true, description: "Only alerts of this kind, e.g. `key.leaked`." })
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
