import { Arg, Ctx, Directive, Mutation, Query, Resolver } from "type-graphql";
import { type Context, originOf } from "../auth/viewer.ts";
import type { Retention } from "./service.ts";
import { LedgerMonth, RetentionStatus, toLedgerMonth } from "./types.ts";

@Resolver()
export class RetentionResolver {
  readonly #retention: Retention;

  constructor(retention: Retention) {
    this.#retention = retention;
  }

  @Directive('@role(requires: "ANALYST")')
  @Query(() => RetentionStatus, { description: "How long calls are kept one by one, and which months were archived." })
  async retention(): Promise<RetentionStatus> {
    const [busy, months] = await Promise.all([this.#retention.isBusy(), this.#retention.months()]);
    return { busy, keepMonths: this.#retention.keepMonths ?? null, months: months.map(toLedgerMonth) };
  }

  @Directive('@role(requires: "ADMIN")')
  @Mutation(() => LedgerMonth, {
    description:
      "Writes the calls of a month to a file in the server's ARCHIVE_DIR; they stay in the ledger. Fails with NOT_FOUND for a month without calls, with CONFLICT for one that has not been over for two days, or was dropped.",
  })
  async archiveMonth(
    @Arg("month", () => String, { description: "E.g. `2026-01`, in UTC." }) month: string,
    @Ctx() context: Context,
  ): Promise<LedgerMonth> {
    return toLedgerMonth(await this.#retention.archive(originOf(context), month));
  }

  @Directive('@role(requires: "ADMIN")')
  @Mutation(() => LedgerMonth, {
    description:
      "Drops the calls of an archived month; rollups, credit entries and holds stay. Fails with CONFLICT unless it is the oldest and its file is as it was written, with UNAVAILABLE while something reads the calls for long.",
  })
  async dropMonth(
    @Arg("month", () => String, { description: "E.g. `2026-01`, in UTC." }) month: string,
    @Arg("sha256", () => String, {
      nullable: true,
      description: "Of the file, from whoever has it now; when absent, the file must lie where it was written.",
    })
    sha256: string | null,
    @Ctx() context: Context,
  ): Promise<LedgerMonth> {
    return toLedgerMonth(await this.#retention.drop(originOf(context), month, sha256 ?? undefined));
  }

  @Directive('@role(requires: "ADMIN")')
  @Mutation(() => [LedgerMonth], {
    description:
      "Archives and drops what RETENTION_MONTHS no longer keeps, as the server does by the hour. Fails with CONFLICT when it is not set.",
  })
  async applyRetention(@Ctx() context: Context): Promise<LedgerMonth[]> {
    return (await this.#retention.apply(originOf(context))).map(toLedgerMonth);
  }
}
