import { Field, ID, InputType, Int, ObjectType } from "type-graphql";
import { GraphQLDecimal } from "../../graphql/scalars.ts";
import { toWire } from "../../ids.ts";
import { budgetsToText } from "../../ledger/budgets.ts";
import type { LimitColumns } from "../rules/effective.ts";
import type { PlanRow } from "../store.ts";

@ObjectType({
  description: "The limits in force for a key: its own, else those of its plan.",
  simpleResolvers: true,
})
export class KeyLimits {
  @Field(() => [String], { nullable: true, description: "Names and patterns of models; null means every model." })
  models!: string[] | null;

  @Field(() => Int, { nullable: true, description: "Limit on calls per minute; null means the field's rate limit." })
  requestsPerMinute!: number | null;

  @Field(() => Int, { nullable: true, description: "Limit on tokens per minute; null means no limit." })
  tokensPerMinute!: number | null;

  @Field(() => Int, { nullable: true, description: "Limit on concurrent calls; null means no limit." })
  maxConcurrency!: number | null;

  @Field(() => GraphQLDecimal, {
    nullable: true,
    description: "Limit on the provider cost a day (UTC), in USD; null means no limit.",
  })
  dailyBudgetUsd!: string | null;

  @Field(() => GraphQLDecimal, {
    nullable: true,
    description: "Limit on the provider cost a month (UTC), in USD; null means no limit.",
  })
  monthlyBudgetUsd!: string | null;

  @Field(() => GraphQLDecimal, {
    nullable: true,
    description: "Limit on the credits charged a day (UTC); null means no limit.",
  })
  dailyBudgetCredits!: string | null;

  @Field(() => GraphQLDecimal, {
    nullable: true,
    description: "Limit on the credits charged a month (UTC); null means no limit.",
  })
  monthlyBudgetCredits!: string | null;
}

@ObjectType({
  description: "A plan: default limits for many keys. A change applies to all keys of the plan.",
  simpleResolvers: true,
})
export class Plan {
  @Field(() => ID, { description: "The plan's id, `pln_…`." })
  id!: string;

  @Field(() => String, { description: "The plan's name, unique among plans." })
  name!: string;

  @Field(() => String, { nullable: true, description: "A description for people; null for none." })
  description!: string | null;

  @Field(() => KeyLimits, {
    description: "Limits of each key that does not set its own. Keys do not share a budget.",
  })
  limits!: KeyLimits;

  @Field(() => Date, { description: "When the plan was created." })
  createdAt!: Date;
}

@InputType({
  description: "Limits of a plan. For a new plan, an absent limit means no limit; in an update, it stays as it is.",
})
export class PlanLimitsInput {
  @Field(() => [String], {
    nullable: true,
    description:
      "Models that the keys may call, by name or by pattern such as `gpt-*`, at most 200; null means every model.",
  })
  models?: string[] | null;

  @Field(() => Int, {
    nullable: true,
    description: "Limit on each key's calls per minute, at least 1; null means the field's rate limit.",
  })
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

@InputType({ description: "A plan to create." })
export class CreatePlanInput {
  @Field(() => String, { description: "The name: 1 to 200 characters. Fails with CONFLICT if it is in use." })
  name!: string;

  @Field(() => String, { nullable: true, description: "A description for people, at most 1,000 characters." })
  description?: string | null;

  @Field(() => PlanLimitsInput, { nullable: true, description: "The plan's limits; no limits when absent." })
  limits?: PlanLimitsInput | null;
}

@InputType({ description: "The fields of a plan to change. A field that is absent stays as it is." })
export class UpdatePlanInput {
  @Field(() => String, {
    nullable: true,
    description: "The name: 1 to 200 characters. Must not be null. Fails with CONFLICT if it is in use.",
  })
  name?: string | null;

  @Field(() => String, {
    nullable: true,
    description: "A description for people, at most 1,000 characters; null removes it.",
  })
  description?: string | null;

  @Field(() => PlanLimitsInput, { nullable: true, description: "The limits to change; a null limit is removed." })
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
