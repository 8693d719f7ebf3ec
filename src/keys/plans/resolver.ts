import { Arg, Ctx, Directive, FieldResolver, ID, Mutation, Query, Resolver, Root } from "type-graphql";
import { Account } from "../../accounts/types.ts";
import { type Context, originOf } from "../../auth/viewer.ts";
import { fromWire } from "../../ids.ts";
import { effectiveLimits } from "../rules/effective.ts";
import { ApiKey } from "../types.ts";
import type { Plans } from "./service.ts";
import { CreatePlanInput, KeyLimits, Plan, toKeyLimits, toPlan, UpdatePlanInput } from "./types.ts";

@Resolver(() => Plan)
export class PlansResolver {
  readonly #plans: Plans;

  constructor(plans: Plans) {
    this.#plans = plans;
  }

  @Directive('@role(requires: "ANALYST")')
  @Query(() => [Plan], { description: "Plans, newest first, at most 1,000. Requires ANALYST." })
  async plans(): Promise<Plan[]> {
    return (await this.#plans.list()).map(toPlan);
  }

  @Directive('@role(requires: "ADMIN")')
  @Mutation(() => Plan, {
    description: "Creates a plan. Requires ADMIN. Fails with BAD_USER_INPUT, or CONFLICT if the name is in use.",
  })
  async createPlan(
    @Arg("input", () => CreatePlanInput, { description: "The plan to create." }) { limits, ...input }: CreatePlanInput,
    @Ctx() context: Context,
  ): Promise<Plan> {
    return toPlan(await this.#plans.create(originOf(context), { ...limits, ...input }));
  }

  @Directive('@role(requires: "ADMIN")')
  @Mutation(() => Plan, {
    description:
      "Updates a plan for all its keys. Every replica follows within a second, or within 5 seconds if the notification is lost. Requires ADMIN. Fails with NOT_FOUND, BAD_USER_INPUT, or CONFLICT if the name is in use.",
  })
  async updatePlan(
    @Arg("id", () => ID, { description: "The plan, `pln_…`." }) id: string,
    @Arg("input", () => UpdatePlanInput, { description: "The fields to change." }) {
      limits,
      ...input
    }: UpdatePlanInput,
    @Ctx() context: Context,
  ): Promise<Plan> {
    return toPlan(await this.#plans.update(originOf(context), fromWire("pln", id), { ...limits, ...input }));
  }

  @Directive('@role(requires: "ADMIN")')
  @Mutation(() => Boolean, {
    description: "Deletes a plan. Requires ADMIN. Fails with NOT_FOUND, or CONFLICT while a key or an account has it.",
  })
  async deletePlan(
    @Arg("id", () => ID, { description: "The plan, `pln_…`." }) id: string,
    @Ctx() context: Context,
  ): Promise<boolean> {
    await this.#plans.delete(originOf(context), fromWire("pln", id));
    return true;
  }
}

@Resolver(() => ApiKey)
export class KeyPlanResolver {
  readonly #plans: Plans;

  constructor(plans: Plans) {
    this.#plans = plans;
  }

  @FieldResolver(() => Plan, { nullable: true, description: "The key's own plan, else its account's; null if none." })
  async plan(@Root() key: ApiKey, @Ctx() context: Context): Promise<Plan | null> {
    const plan = await this.#plans.of(key.row, context.loaders);
    return plan ? toPlan(plan) : null;
  }

  @FieldResolver(() => KeyLimits, { description: "The limits in force: the key's own, else those of its plan." })
  async limits(@Root() key: ApiKey, @Ctx() context: Context): Promise<KeyLimits> {
    return toKeyLimits(effectiveLimits(key.row, await this.#plans.of(key.row, context.loaders)));
  }
}

@Resolver(() => Account)
export class AccountPlanResolver {
  readonly #plans: Plans;

  constructor(plans: Plans) {
    this.#plans = plans;
  }

  @FieldResolver(() => Plan, {
    nullable: true,
    description: "The plan of the account's keys that have no plan of their own; null if none.",
  })
  async plan(@Root() { planId }: Account, @Ctx() { loaders }: Context): Promise<Plan | null> {
    const plan = planId && (await loaders.load(this.#plans.byId, planId));
    return plan ? toPlan(plan) : null;
  }
}
