import { Field, ID, InputType, Int, ObjectType } from "type-graphql";
import { connectionOf } from "../graphql/pagination.ts";
import { toWire } from "../ids.ts";
import type { AccountRow } from "./store.ts";

@ObjectType({ description: "A customer: owns keys and wallets.", simpleResolvers: true })
export class Account {
  @Field(() => ID, { description: "`acc_…`" })
  id!: string;

  @Field(() => String, { description: "A label for people; not unique." })
  name!: string;

  @Field(() => Int, {
    nullable: true,
    description: "After how many days a key's newest secret is due for rotation; null means that nobody is reminded.",
  })
  rotateKeysAfterDays!: number | null;

  @Field(() => Int, { description: "How many keys that work each of its MEMBERs may have made; 0 means none." })
  memberKeysMax!: number;

  @Field(() => Date, { nullable: true, description: "Since when it is closed for ever; null while it is not." })
  closedAt!: Date | null;

  @Field(() => Date, { description: "When the account was created." })
  createdAt!: Date;

  /** For the edge: an id as the database has it. */
  planId!: string | null;
}

export const AccountConnection = connectionOf(Account, "Account");

@InputType({ description: "A new customer." })
export class CreateAccountInput {
  @Field(() => String, { description: "1 to 200 characters." })
  name!: string;
}

@InputType({ description: "A change of a customer: what is absent stays as it is." })
export class UpdateAccountInput {
  @Field(() => String, { nullable: true, description: "1 to 200 characters; not null." })
  name?: string | null;

  @Field(() => ID, {
    nullable: true,
    description:
      "The plan of its keys that have none of their own, and the most that its MEMBERs may give a key; null takes it away. Fails with NOT_FOUND.",
  })
  planId?: string | null;

  @Field(() => Int, {
    nullable: true,
    description: "After how many days a key is due for rotation, 1 to 3650; null means that nobody is reminded.",
  })
  rotateKeysAfterDays?: number | null;

  @Field(() => Int, {
    nullable: true,
    description: "How many keys that work each of its MEMBERs may have made, 0 to 1000; null means 10.",
  })
  memberKeysMax?: number | null;
}

export function toAccount({ id, name, rotateKeysAfterDays, memberKeysMax, closedAt, createdAt, planId }: AccountRow) {
  return { id: toWire("acc", id), name, rotateKeysAfterDays, memberKeysMax, closedAt, createdAt, planId };
}
