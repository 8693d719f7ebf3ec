import type { GraphQLResolveInfo } from "graphql";
import { Arg, Ctx, Directive, FieldResolver, ID, Info, Int, Query, Resolver } from "type-graphql";
import { Me } from "../auth/types.ts";
import { type Context, viewerOf } from "../auth/viewer.ts";
import { selects } from "../graphql/selection.ts";
import { fromWire } from "../ids.ts";
import type { ForecastService } from "./forecast/service.ts";
import { toQuestion, UsageInput } from "./question/types.ts";
import type { UsageService } from "./service.ts";
import {
  toTimelineQuestion,
  toTopQuestion,
  toUsageTimeline,
  toWalletForecast,
  UsageTimeline,
  UsageTimelineInput,
  UsageTopInput,
  WalletForecast,
} from "./timeline/types.ts";
import { toUsageReport, UsageReport } from "./types.ts";

/** Percentiles need a second read, which is skipped unless they are selected. */
const isTimed = (info: GraphQLResolveInfo): boolean => selects(info, "latencyMs", "timeToFirstTokenMs");

@Resolver(() => Me)
export class UsageResolver {
  readonly #usage: UsageService;

  constructor(usage: UsageService) {
    this.#usage = usage;
  }

  @Directive('@scope(requires: "usage:read")')
  @Query(() => UsageReport, {
    description:
      "Usage report: sums over the calls of the ledger, exact at the time of the request. A key with the scope `usage:read` sees its own calls, a MEMBER those of its account, an ANALYST all. Fails with BAD_USER_INPUT, or UNAVAILABLE when it takes too long.",
  })
  usage(
    @Arg("input", () => UsageInput, { description: "The time range, filters and grouping of the report." })
    input: UsageInput,
    @Ctx() context: Context,
    @Info() info: GraphQLResolveInfo,
  ): Promise<UsageReport> {
    return this.#report(input, context, info);
  }

  @Directive('@scope(requires: "usage:read")')
  @FieldResolver(() => UsageReport, {
    name: "usage",
    nullable: true,
    description: "Usage report of the calls that the caller may see, as `usage`. Fails with BAD_USER_INPUT.",
  })
  myUsage(
    @Arg("input", () => UsageInput, { description: "The time range, filters and grouping of the report." })
    input: UsageInput,
    @Ctx() context: Context,
    @Info() info: GraphQLResolveInfo,
  ): Promise<UsageReport> {
    return this.#report(input, context, info);
  }

  async #report(input: UsageInput, context: Context, info: GraphQLResolveInfo): Promise<UsageReport> {
    return toUsageReport(await this.#usage.report(viewerOf(context), toQuestion(input, isTimed(info))));
  }
}

@Resolver()
export class UsageViewsResolver {
  readonly #usage: UsageService;
  readonly #forecasts: ForecastService;

  constructor(usage: UsageService, forecasts: ForecastService) {
    this.#usage = usage;
    this.#forecasts = forecasts;
  }

  @Directive('@scope(requires: "usage:read")')
  @Query(() => UsageTimeline, {
    description:
      "Usage over time, for charts: a point for every bucket, also those without calls. The caller sees the calls that `usage` shows. Fails with BAD_USER_INPUT, or UNAVAILABLE when it takes too long.",
  })
  async usageTimeline(
    @Arg("input", () => UsageTimelineInput, { description: "The time range, filters and interval of the report." })
    input: UsageTimelineInput,
    @Ctx() context: Context,
    @Info() info: GraphQLResolveInfo,
  ): Promise<UsageTimeline> {
    return toUsageTimeline(await this.#usage.timeline(viewerOf(context), toTimelineQuestion(input, isTimed(info))));
  }

  @Directive('@scope(requires: "usage:read")')
  @Query(() => UsageReport, {
    description:
      "The API keys with the most usage by `orderBy`. The caller sees the calls that `usage` shows. Fails with BAD_USER_INPUT.",
  })
  async topKeys(
    @Arg("input", () => UsageTopInput, { description: "The time range, filters and order of the report." })
    input: UsageTopInput,
    @Ctx() context: Context,
    @Info() info: GraphQLResolveInfo,
  ): Promise<UsageReport> {
    return toUsageReport(await this.#usage.report(viewerOf(context), toTopQuestion(input, "API_KEY", isTimed(info))));
  }

  @Directive('@scope(requires: "usage:read")')
  @Query(() => UsageReport, {
    description:
      "The models with the most usage by `orderBy`. The caller sees the calls that `usage` shows. Fails with BAD_USER_INPUT.",
  })
  async topModels(
    @Arg("input", () => UsageTopInput, { description: "The time range, filters and order of the report." })
    input: UsageTopInput,
    @Ctx() context: Context,
    @Info() info: GraphQLResolveInfo,
  ): Promise<UsageReport> {
    return toUsageReport(await this.#usage.report(viewerOf(context), toTopQuestion(input, "MODEL", isTimed(info))));
  }

  @Directive('@scope(requires: "usage:read")')
  @Query(() => WalletForecast, {
    description:
      "Forecast of when a wallet will be empty. A key with the scope `usage:read` sees its own wallet, a MEMBER those of its account, an ANALYST all. Fails with NOT_FOUND or BAD_USER_INPUT.",
  })
  async walletForecast(
    @Arg("walletId", () => ID, { description: "Id of the wallet, `wal_…`." }) walletId: string,
    @Arg("days", () => Int, { defaultValue: 7, description: "Days of spending to base the forecast on, 1 to 90." })
    days: number,
    @Ctx() context: Context,
    @Info() info: GraphQLResolveInfo,
  ): Promise<WalletForecast> {
    const back = { days, byDay: selects(info, "burnDown") };
    return toWalletForecast(await this.#forecasts.ofWallet(viewerOf(context), fromWire("wal", walletId), back));
  }
}
