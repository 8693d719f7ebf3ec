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
  description:
    "The role of a user. From most to least: OWNER, ADMIN, OPERATOR, ANALYST, MEMBER. Each role includes the rights of the lower roles; a MEMBER also creates API keys of its own account.",
  valuesConfig: {
    OWNER: { description: "Manages users." },
    ADMIN: { description: "Manages accounts, credits, models and prices." },
    OPERATOR: { description: "Manages API keys." },
    ANALYST: { description: "Reads everything, changes nothing." },
    MEMBER: { description: "Reads its own account, and manages the API keys that it created." },
  },
});

@ObjectType({ description: "A user: a person who signs in.", simpleResolvers: true })
export class User {
  @Field(() => ID, { description: "The user's id, `usr_…`." })
  id!: string;

  @Field(() => String, {
    description:
      "The email address in lower case, unique among users with a password here. For a user of an identity provider: the email in its tokens, else the subject.",
  })
  email!: string;

  @Field(() => String, { nullable: true, description: "The display name; null for none." })
  name!: string | null;

  @Field(() => Role, { description: "The user's role." })
  role!: RoleName;

  /** Resolved by accounts/, which knows accounts. */
  accountId!: string | null;

  @Field(() => Date, { description: "When the user was created." })
  createdAt!: Date;

  @Field(() => Date, { nullable: true, description: "When the user was disabled; null for a user who may sign in." })
  disabledAt!: Date | null;

  @Field(() => String, {
    nullable: true,
    description:
      "The issuer URL of the user's identity provider (OpenID Connect); null for a user with a password here.",
  })
  issuer!: string | null;
}

@ObjectType("Session", { description: "The tokens of a session.", simpleResolvers: true })
export class SessionTokens {
  @Field(() => String, {
    description: "The access token, for the header `Authorization: Bearer …`; valid for 15 minutes.",
  })
  accessToken!: string;

  @Field(() => String, { description: "The refresh token, for `refreshSession`: can be used once; valid for 30 days." })
  refreshToken!: string;

  @Field(() => Date, { description: "When the access token expires." })
  expiresAt!: Date;

  @Field(() => User, { description: "The user who signed in." })
  user!: User;
}

export enum CallerKind {
  API_KEY = "API_KEY",
  USER = "USER",
}
registerEnumType(CallerKind, {
  name: "CallerKind",
  description: "The kind of caller.",
  valuesConfig: {
    API_KEY: { description: "A program with an API key." },
    USER: { description: "A user, with an access token." },
  },
});

@ObjectType({ description: "The caller of the request.", simpleResolvers: true })
export class Me {
  @Field(() => CallerKind, { description: "Whether the caller is an API key or a user." })
  kind!: `${CallerKind}`;
}

@InputType({ description: "The credentials of a user." })
export class LoginInput {
  @Field(() => String, { description: "The email address; upper and lower case are the same." })
  email!: string;

  @Field(() => String, { description: "The password, at most 72 bytes." })
  password!: string;
}

@InputType({ description: "A user to create." })
export class CreateUserInput {
  @Field(() => String, { description: "The email address. Fails with CONFLICT if it is in use." })
  email!: string;

  @Field(() => String, { description: "The new password, 8 to 72 bytes." })
  password!: string;

  @Field(() => Role, { description: "The user's role." })
  role!: RoleName;

  @Field(() => String, { nullable: true, description: "The display name, at most 200 characters." })
  name?: string | null;

  @Field(() => ID, {
    nullable: true,
    description: "The account of a MEMBER, `acc_…`: required for that role, absent for other roles.",
  })
  accountId?: string | null;
}

export function toUser(row: UserRow): User {
  const { id, email, name, role, accountId, createdAt, disabledAt, issuer } = row;
  return { id: toWire("usr", id), email, name, role, accountId, createdAt, disabledAt, issuer };
}
