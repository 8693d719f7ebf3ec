import { Field, ID, ObjectType } from "type-graphql";
import { GraphQLDecimal } from "../../graphql/scalars.ts";

@ObjectType({ description: "What a call would cost, before it is made. Nothing is reserved.", simpleResolvers: true })
export class Quote {
  @Field(() => String, { description: "The name of the model." })
  model!: string;

  @Field(() => GraphQLDecimal, { description: "In credits: what the shortest answer would cost." })
  minCredits!: string;

  @Field(() => GraphQLDecimal, {
    description: "In credits: the most that the call can cost, which is what it would reserve.",
  })
  maxCredits!: string;

  @Field(() => GraphQLDecimal, { description: "In credits: what the wallet has left for new calls." })
  balance!: string;

  @Field(() => Boolean, {
    description: "Whether the wallet pays for the call; for fewer output tokens than asked for, if need be.",
  })
  affordable!: boolean;

  @Field(() => [String], {
    description:
      "Codes of the error catalogue with which the call would be refused now, such as OUT_OF_CREDITS, BUDGET_EXCEEDED or MODEL_NOT_ALLOWED; empty if nothing stands in its way. Rate limits are not foretold.",
  })
  blockedBy!: string[];

  @Field(() => ID, {
    description: "Give it as `GenerateInput.quoteId`: until `expiresAt` the call keeps the price that was quoted.",
  })
  quoteId!: string;

  @Field(() => Date, { description: "Five minutes from now, by the database's clock." })
  expiresAt!: Date;
}
