import { Field, InputType, ObjectType } from "type-graphql";
import { connectionOf } from "../../../graphql/pagination.ts";
import { Role, User } from "../../types.ts";
import type { RoleName } from "../../viewer.ts";

export const UserConnection = connectionOf(User, "User");

@InputType({ description: "Filters users: a user must match all of them." })
export class UserFilter {
  @Field(() => String, {
    nullable: true,
    description: "Only users whose email or name contains this text; upper and lower case are the same.",
  })
  search?: string | null;

  @Field(() => Role, { nullable: true, description: "Only users with this role." })
  role?: RoleName | null;

  @Field(() => Boolean, { nullable: true, description: "True for disabled users only, false for enabled users only." })
  disabled?: boolean | null;
}

@ObjectType({ description: "An IP address that is locked after too many failed sign-ins.", simpleResolvers: true })
export class LockedAddress {
  @Field(() => String, { description: "An IPv4 address, or the /64 of an IPv6 address." })
  address!: string;

  @Field(() => Date, { description: "When the lock ends." })
  until!: Date;
}
