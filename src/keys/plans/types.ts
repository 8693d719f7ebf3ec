import { Field, ID, InputType, Int, ObjectType } from "type-graphql";
import { GraphQLDecimal } from "../../graphql/scalars.ts";
import { toWire } from "../../ids.ts";
import { budgetsToText } from "../../ledger/budgets.ts";
import type { LimitColumns } from "../rules/effective.ts";
import type { PlanRow } from "../store.ts";

@ObjectType({
  description: "What holds for a key: what it says for itself, else what its plan says.",
  simpleResolvers: true,
})
export class KeyLimits {
  @Field(() => [String], { nullable: true, description: "Names and patterns of models; null means every model." })
  models!: string[] | null;

  @Field(() => Int, { nullable: true, description: "Calls a minute; null means the limit of the field." })
  requestsPerMinute!: number | null;

  @Field(() => Int, { nullable: true, description: "Tokens a minute; null means no limit." })
  tokensPerMinute!: number | null;

  @Field(() => Int, { nullable: true, description: "Calls at once; null means no limit." })
  maxConcurrency!: number | null;

  @Field(() => GraphQLDecimal, {
    nullable: true,
    description: "Provider cost a day (UTC), in USD; null means no limit.",
  })
  dailyBudgetUsd!: string | null;

  @Field(() => GraphQLDecimal, {
    nullable: true,
    description: "Provider cost a month (UTC), in USD; null means no limit.",
  })
  monthlyBudgetUsd!: string | null;

  @Field(() => GraphQLDecimal, { nullable: true, description: "Credits a day (UTC); null means no limit." })
  dailyBudgetCredits!: string | null;

  @Field(() => GraphQLDecimal, { nullable: true, description: "Credits a month (UTC); null means no limit." })
  monthlyBudgetCredits!: string | null;
}

@ObjectType({
  description: "Defaults for many keys, which can be changed for all of them at once.",
  simpleResolvers: true,
})
export class Plan {
  @Field(() => ID, { description: "`pln_…`" })
  id!: string;

  @Field(() => String, { description: "Unique among plans." })
  name!: string;

  @Field(() => String, { nullable: true, description: "For people." })
  description!: string | null;

  @Field(() => KeyLimits, {
    description: "What it gives to a key that does not say otherwise. A budget is each key's.",
  })
  limits!: KeyLimits;

  @Field(() => Date, { description: "When it was created." })
  createdAt!: Date;
}

@InputType({ description: "Limits that a plan gives; for a new plan, what is absent is not limited." })
export class PlanLimitsInput {
  @Field(() => [String], {
    nullable: true,
    description: "Names of models, or patterns such as `gpt-*`, at most 200; null means every model.",
  })
  models?: string[] | null;

  @Field(() => Int, { nullable: true, description: "At least 1; null means the limit of the field." })
  requestsPerMinute?: number | null;

  @Field(() => Int, { nullable: true, description: "At least 1; null means no limit." })
  tokensPerMinute?: number | null;

  @Field(() => Int, { nullable: true, description: "At least 1; null means no limit." })
  maxConcurrency?: number | null;

  @Field(() => GraphQLDecimal, { nullable: true, description: "For each key, in USD, not below 0; null: no limit." })
  dailyBudgetUsd?: string | null;

  @Field(() => GraphQLDecimal, { nullable: true, description: "For each key, in USD, not below 0; null: no limit." })
  monthlyBudgetUsd?: string | null;

  @Field(() => GraphQLDecimal, {
    nullable: true,
    description: "For each key, in credits, not below 0; null: no limit.",
  })
  dailyBudgetCredits?: string | null;

  @Field(() => GraphQLDecimal, {
    nullable: true,
    description: "For each key, in credits, not below 0; null: no limit.",
  })
  monthlyBudgetCredits?: string | null;
}

@InputType({ description: "A new plan." })
export class CreatePlanInput {
  @Field(() => String, { description: "1 to 200 characters. Fails with CONFLICT if there is one of this name." })
  name!: string;

  @Field(() => String, { nullable: true, description: "For people, at most 1000 characters." })
  description?: string | null;

  @Field(() => PlanLimitsInput, { nullable: true, description: "None when absent." })
  limits?: PlanLimitsInput | null;
}

@InputType({ description: "A change of a plan: what is absent stays as it is." })
export class UpdatePlanInput {
  @Field(() => String, { nullable: true, description: "1 to 200 characters; not null." })
  name?: string | null;

  @Field(() => String, { nullable: true, description: "At most 1000 characters; null takes it away." })
  description?: string | null;

  @Field(() => PlanLimitsInput, { nullable: true, description: "Those that are to change; null takes a limit away." })
  limits?: PlanLimitsInput | null;
}

export function toKeyLimits(limits: LimitColumns): KeyLimits {
  const { models, requestsPerMinute, tokensPerMinute, maxConcurrency } = limits;
  return { models, requestsPerMinute, tokensPerMinute, maxConcurrency, ...budgetsToText(limits) };
}

export function toPlan(row: PlanRow): Plan {
  const { id, name, description, createdAt } = row;
  return { id: toWire("pln", id), name, description, limits: toKeyLimits(row), createdAt };
}
