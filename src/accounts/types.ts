import { Field, ID, InputType, ObjectType } from "type-graphql";
import { toWire } from "../ids.ts";
import type { AccountRow } from "./store.ts";

@ObjectType({ description: "A customer: owns keys and wallets.", simpleResolvers: true })
export class Account {
  @Field(() => ID, { description: "`acc_…`" })
  id!: string;

  @Field(() => String, { description: "A label for people; not unique." })
  name!: string;

  @Field(() => Date, { description: "When the account was created." })
  createdAt!: Date;
}

@InputType({ description: "A new customer." })
export class CreateAccountInput {
  @Field(() => String, { description: "1 to 200 characters." })
  name!: string;
}

export function toAccount({ id, name, createdAt }: AccountRow): Account {
  return { id: toWire("acc", id), name, createdAt };
}
