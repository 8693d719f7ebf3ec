import { Field, InputType, ObjectType } from "type-graphql";
import { connectionOf } from "../../../graphql/pagination.ts";
import { Role, User } from "../../types.ts";
import type { RoleName } from "../../viewer.ts";

export const UserConnection = connectionOf(User, "User");

@InputType({ description: "Which people to list." })
export class UserFilter {
  @Field(() => String, { nullable: true, description: "With this text in the email or name, in any case." })
  search?: string | null;

  @Field(() => Role, { nullable: true, description: "With this role only." })
  role?: RoleName | null;

  @Field(() => Boolean, { nullable: true, description: "Only those who may not sign in, or only those who may." })
  disabled?: boolean | null;
}

@ObjectType({ description: "An address from which too many sign-ins have failed.", simpleResolvers: true })
export class LockedAddress {
  @Field(() => String, { description: "An IPv4 address, or the /64 of an IPv6 address." })
  address!: string;

  @Field(() => Date, { description: "When people may sign in from there again." })
  until!: Date;
}
