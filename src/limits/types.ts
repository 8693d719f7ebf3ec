import { Field, Int, ObjectType } from "type-graphql";
import type { DenialCount } from "./store.ts";

@ObjectType({ description: "The number of refusals of a key, by minute and error code.", simpleResolvers: true })
export class Denial {
  @Field(() => Date, { description: "Start of the minute." })
  minute!: Date;

  @Field(() => String, { description: "The error code that the caller received, e.g. `RATE_LIMITED`." })
  code!: string;

  @Field(() => Int, { description: "The number of calls." })
  count!: number;

  @Field(() => Boolean, { description: "True for calls that went through, because the key's `limitMode` is SHADOW." })
  shadow!: boolean;
}

export function toDenial({ minute, code, count, shadow }: DenialCount): Denial {
  return { minute, code, count, shadow };
}
