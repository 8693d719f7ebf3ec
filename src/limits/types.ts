import { Field, Int, ObjectType } from "type-graphql";
import type { DenialCount } from "./store.ts";

@ObjectType({ description: "How often a key was refused for one reason in one minute.", simpleResolvers: true })
export class Denial {
  @Field(() => Date, { description: "When the minute began." })
  minute!: Date;

  @Field(() => String, { description: "A code of the error catalogue, e.g. `RATE_LIMITED`." })
  code!: string;

  @Field(() => Int, { description: "How many calls." })
  count!: number;

  @Field(() => Boolean, { description: "True for calls that went through, because the key's `limitMode` is SHADOW." })
  shadow!: boolean;
}

export function toDenial({ minute, code, count, shadow }: DenialCount): Denial {
  return { minute, code, count, shadow };
}
