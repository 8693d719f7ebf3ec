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
      "Explains whether a key may make this call now: each check with its result and figures. No model is called, and nothing is reserved or counted. Requires ANALYST. Fails with NOT_FOUND.",
  })
  async explainAccess(
    @Arg("apiKeyId", () => ID, { description: "The key that would make the call, `key_…`." }) apiKeyId: string,
    @Arg("input", () => GenerateInput, { description: "The call that `generate` would be given." })
    input: GenerateInput,
    @Arg("ip", () => String, {
      nullable: true,
      description: "The client's IP address. Without it, a key with `allowedIps` is not checked.",
    })
    ip: string | null,
    @Arg("at", () => Date, {
      nullable: true,
      description: "Timestamp for which expiry and hours are checked; now when absent.",
    })
    at: Date | null,
  ): Promise<AccessExplanation> {
    const question = { apiKeyId: fromWire("key", apiKeyId), input, ip: ip ?? undefined, at: at ?? undefined };
    return toExplanation(await this.#explainer.explain(question));
  }
}
