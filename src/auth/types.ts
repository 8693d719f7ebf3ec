import { Field, ID, InputType, ObjectType, registerEnumType } from "type-graphql";
import { toWire } from "../ids.ts";
import type { UserRow } from "./store.ts";
import type { RoleName } from "./viewer.ts";

export enum Role {
  OWNER = "OWNER",
  ADMIN = "ADMIN",
  OPERATOR = "OPERATOR",
  ANALYST = "ANALYST",
  MEMBER = "MEMBER",
}
registerEnumType(Role, {
  name: "Role",
  description: "What a person may do. Each role may do all that the ones after it may.",
  valuesConfig: {
    OWNER: { description: "Manages people." },
    ADMIN: { description: "Manages accounts, credits, models and prices." },
    OPERATOR: { description: "Manages API keys." },
    ANALYST: { description: "Reads everything, changes nothing." },
    MEMBER: { description: "Reads one account." },
  },
});

@ObjectType({ description: "A person who signs in.", simpleResolvers: true })
export class User {
  @Field(() => ID, { description: "`usr_…`" })
  id!: string;

  @Field(() => String, {
    description:
      "In lower case, and unique among those who sign in here; of others what their issuer says, else their name there.",
  })
  email!: string;

  @Field(() => String, { nullable: true, description: "A name for people." })
  name!: string | null;

  @Field(() => Role, { description: "What this person may do." })
  role!: RoleName;

  /** Resolved by accounts/, which knows accounts. */
  accountId!: string | null;

  @Field(() => Date, { description: "When the user was created." })
  createdAt!: Date;

  @Field(() => Date, { nullable: true, description: "Since when this person may not sign in; null if they may." })
  disabledAt!: Date | null;

  @Field(() => String, {
    nullable: true,
    description: "Who vouches for this person, by OpenID Connect; null for someone who signs in here.",
  })
  issuer!: string | null;
}

@ObjectType("Session", { description: "A signed-in person's tokens.", simpleResolvers: true })
export class SessionTokens {
  @Field(() => String, { description: "Goes in `Authorization: Bearer …`; valid for 15 minutes." })
  accessToken!: string;

  @Field(() => String, { description: "Exchanged once for a new session by `refreshSession`; valid for 30 days." })
  refreshToken!: string;

  @Field(() => Date, { description: "When the access token ends." })
  expiresAt!: Date;

  @Field(() => User, { description: "Who signed in." })
  user!: User;
}

export enum CallerKind {
  API_KEY = "API_KEY",
  USER = "USER",
}
registerEnumType(CallerKind, {
  name: "CallerKind",
  description: "What the credential of a request proves.",
  valuesConfig: { API_KEY: { description: "A program with a key." }, USER: { description: "A person." } },
});

@ObjectType({ description: "Who is calling. Features add what they know of the caller.", simpleResolvers: true })
export class Me {
  @Field(() => CallerKind, { description: "Whether a key or a person is calling." })
  kind!: `${CallerKind}`;
}

@InputType({ description: "A sign-in." })
export class LoginInput {
  @Field(() => String, { description: "In any case." })
  email!: string;

  @Field(() => String, { description: "At most 72 bytes." })
  password!: string;
}

@InputType({ description: "A new person." })
export class CreateUserInput {
  @Field(() => String, { description: "Must not be in use." })
  email!: string;

  @Field(() => String, { description: "8 to 72 bytes." })
  password!: string;

  @Field(() => Role, { description: "What the person may do." })
  role!: RoleName;

  @Field(() => String, { nullable: true, description: "A name for people, at most 200 characters." })
  name?: string | null;

  @Field(() => ID, { nullable: true, description: "The account that a MEMBER belongs to; required for that role." })
  accountId?: string | null;
}

export function toUser(row: UserRow): User {
  const { id, email, name, role, accountId, createdAt, disabledAt, issuer } = row;
  return { id: toWire("usr", id), email, name, role, accountId, createdAt, disabledAt, issuer };
}
