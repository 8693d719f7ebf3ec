import { Field, ID, ObjectType } from "type-graphql";
import { toWire } from "../../ids.ts";
import type { SessionRow } from "./store.ts";

@ObjectType({ description: "A session of a user, without its tokens.", simpleResolvers: true })
export class UserSession {
  @Field(() => ID, { description: "The session's id, `ses_…`." })
  id!: string;

  @Field(() => Date, { description: "When the user signed in." })
  createdAt!: Date;

  @Field(() => String, { nullable: true, description: "The IP address of the sign-in." })
  ip!: string | null;

  @Field(() => String, { nullable: true, description: "The client's `User-Agent` at sign-in, at most 200 characters." })
  userAgent!: string | null;

  @Field(() => Date, { description: "When the session was last used, at most a minute late." })
  lastUsedAt!: Date;

  @Field(() => String, { nullable: true, description: "The IP address of the last use." })
  lastUsedFrom!: string | null;

  @Field(() => Date, {
    description: "When the session expires: 30 days after the last refresh.",
  })
  expiresAt!: Date;

  @Field(() => Boolean, { description: "Whether this is the session of the request." })
  current!: boolean;
}

export function toUserSession(row: SessionRow, currentId: string | null): UserSession {
  return { ...row, id: toWire("ses", row.id), current: row.id === currentId };
}
