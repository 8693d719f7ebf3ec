import { Arg, Directive, ID, Query, Resolver } from "type-graphql";
import { fromWire } from "../../ids.ts";
import { GenerateInput } from "../inputs/generate.ts";
import type { AccessExplainer } from "./service.ts";
import { AccessExplanation, toExplanation } from "./types.ts";

@Resolver()
export class ExplainResolver {
  readonly #explainer: AccessExplainer;

  constructor(explainer: AccessExplainer) {
    this.#explainer = explainer;
  }

  @Directive('@role(requires: "ANALYST")')
  @Query(() => AccessExplanation, {
    description:
      "Why a key may or may not make this call now: each check with its outcome and figures. No model is called, and nothing is reserved or counted. Fails with NOT_FOUND.",
  })
  async explainAccess(
    @Arg("apiKeyId", () => ID, { description: "The key, `key_…`." }) apiKeyId: string,
    @Arg("input", () => GenerateInput, { description: "The request." }) input: GenerateInput,
    @Arg("ip", () => String, { nullable: true, description: "The address that the call comes from." }) ip:
      | string
      | null,
    @Arg("at", () => Date, { nullable: true, description: "For expiry and hours: another time than now." })
    at: Date | null,
  ): Promise<AccessExplanation> {
    const question = { apiKeyId: fromWire("key", apiKeyId), input, ip: ip ?? undefined, at: at ?? undefined };
    return toExplanation(await this.#explainer.explain(question));
  }
}
