import { Field, ID, ObjectType } from "type-graphql";
import { toWire } from "../../ids.ts";
import type { SessionRow } from "./store.ts";

@ObjectType({ description: "A sign-in that goes on. It has no tokens in it.", simpleResolvers: true })
export class UserSession {
  @Field(() => ID, { description: "`ses_…`" })
  id!: string;

  @Field(() => Date, { description: "When the person signed in." })
  createdAt!: Date;

  @Field(() => String, { nullable: true, description: "The address that the person signed in from." })
  ip!: string | null;

  @Field(() => String, { nullable: true, description: "What the client called itself then, at most 200 characters." })
  userAgent!: string | null;

  @Field(() => Date, { description: "When it was last used, to within a minute." })
  lastUsedAt!: Date;

  @Field(() => String, { nullable: true, description: "The address that it was last used from." })
  lastUsedFrom!: string | null;

  @Field(() => Date, {
    description: "When it ends, unless it is refreshed before: 30 days after the last time it was.",
  })
  expiresAt!: Date;

  @Field(() => Boolean, { description: "Whether it is the one that asks." })
  current!: boolean;
}

export function toUserSession(row: SessionRow, currentId: string | null): UserSession {
  return { ...row, id: toWire("ses", row.id), current: row.id === currentId };
}
