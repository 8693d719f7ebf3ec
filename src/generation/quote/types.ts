import { Field, ID, ObjectType } from "type-graphql";
import { GraphQLDecimal } from "../../graphql/scalars.ts";

@ObjectType({ description: "The price of a call before it is made. Nothing is reserved.", simpleResolvers: true })
export class Quote {
  @Field(() => String, { description: "The name of the requested model." })
  model!: string;

  @Field(() => GraphQLDecimal, { description: "The price of the shortest answer, in credits." })
  minCredits!: string;

  @Field(() => GraphQLDecimal, {
    description: "The most that the call can cost, in credits: the amount that it would reserve.",
  })
  maxCredits!: string;

  @Field(() => GraphQLDecimal, {
    description: "Available credits of the wallet: its balance less the credits reserved by running calls.",
  })
  balance!: string;

  @Field(() => Boolean, {
    description: "Whether the wallet can pay for the call, possibly with fewer output tokens than requested.",
  })
  affordable!: boolean;

  @Field(() => [String], {
    description:
      "Codes of the error catalogue with which the call would be refused now, such as OUT_OF_CREDITS, BUDGET_EXCEEDED or MODEL_NOT_ALLOWED; empty when it would run. Rate limits are not checked.",
  })
  blockedBy!: string[];

  @Field(() => ID, {
    description: "The quote's id, `quo_…`, for `GenerateInput.quoteId`.",
  })
  quoteId!: string;

  @Field(() => Date, {
    description: "When the quote expires: five minutes after it was made, by the database's clock.",
  })
  expiresAt!: Date;
}
