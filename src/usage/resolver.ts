import { Arg, Ctx, Directive, FieldResolver, Query, Resolver } from "type-graphql";
import { Me } from "../auth/types.ts";
import { type Context, viewerOf } from "../auth/viewer.ts";
import { readWire } from "../ids.ts";
import type { UsageQuestion, UsageService } from "./service.ts";
import { toUsageReport, UsageInput, UsageReport } from "./types.ts";

@Resolver(() => Me)
export class UsageResolver {
  readonly #usage: UsageService;

  constructor(usage: UsageService) {
    this.#usage = usage;
  }

  @Directive('@scope(requires: "usage:read")')
  @Query(() => UsageReport, {
    description: "Sums over the ledger. A key sees its own calls, a MEMBER those of one account.",
  })
  async usage(@Arg("input", () => UsageInput) input: UsageInput, @Ctx() context: Context): Promise<UsageReport> {
    return toUsageReport(await this.#usage.report(viewerOf(context), toQuestion(input)));
  }

  @Directive('@scope(requires: "usage:read")')
  @FieldResolver(() => UsageReport, { name: "usage", nullable: true, description: "The caller's part of the ledger." })
  async myUsage(@Arg("input", () => UsageInput) input: UsageInput, @Ctx() context: Context): Promise<UsageReport> {
    return toUsageReport(await this.#usage.report(viewerOf(context), toQuestion(input)));
  }
}

function toQuestion({ from, to, grain, groupBy, limit, filter }: UsageInput): UsageQuestion {
  return {
    from,
    to,
    grain: grain ?? "NONE",
    groupBy: groupBy ?? [],
    limit: limit ?? 1000,
    accountIds: toIds("acc", filter?.accountIds),
    apiKeyIds: toIds("key", filter?.apiKeyIds),
    models: filter?.models ?? undefined,
    providers: filter?.providers ?? undefined,
  };
}

/** An id of the wrong form is one that nothing has. */
function toIds(prefix: "acc" | "key", ids: string[] | null | undefined): string[] | undefined {
  return ids?.flatMap((id) => readWire(prefix, id) ?? []);
}
