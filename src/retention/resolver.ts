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
  @Query(() => RetentionStatus, {
    description: "The retention policy for calls, and which months were archived or dropped. Requires ANALYST.",
  })
  async retention(): Promise<RetentionStatus> {
    const [busy, months] = await Promise.all([this.#retention.isBusy(), this.#retention.months()]);
    return { busy, keepMonths: this.#retention.keepMonths ?? null, months: months.map(toLedgerMonth) };
  }

  @Directive('@role(requires: "ADMIN")')
  @Mutation(() => LedgerMonth, {
    description:
      "Archives a month: writes its calls to a file in ARCHIVE_DIR of the server. The calls stay in the ledger. Requires ADMIN. Fails with NOT_FOUND for a month without calls, or CONFLICT for a month that ended less than two days ago or was dropped.",
  })
  async archiveMonth(
    @Arg("month", () => String, { description: "The month in UTC, such as `2026-01`." }) month: string,
    @Ctx() context: Context,
  ): Promise<LedgerMonth> {
    return toLedgerMonth(await this.#retention.archive(originOf(context), month));
  }

  @Directive('@role(requires: "ADMIN")')
  @Mutation(() => LedgerMonth, {
    description:
      "Drops the calls of an archived month from the database. Rollups, credit entries and holds stay. Requires ADMIN. Fails with CONFLICT unless the month is the oldest and its file is unchanged, or UNAVAILABLE while a long report or backup reads the calls.",
  })
  async dropMonth(
    @Arg("month", () => String, { description: "The month in UTC, such as `2026-01`." }) month: string,
    @Arg("sha256", () => String, {
      nullable: true,
      description: "SHA-256 of your copy of the file. When absent, the file must be where the server wrote it.",
    })
    sha256: string | null,
    @Ctx() context: Context,
  ): Promise<LedgerMonth> {
    return toLedgerMonth(await this.#retention.drop(originOf(context), month, sha256 ?? undefined));
  }

  @Directive('@role(requires: "ADMIN")')
  @Mutation(() => [LedgerMonth], {
    description:
      "Archives and drops the months that RETENTION_MONTHS no longer keeps, as the server does every hour. Requires ADMIN. Fails with CONFLICT when RETENTION_MONTHS is not set.",
  })
  async applyRetention(@Ctx() context: Context): Promise<LedgerMonth[]> {
    return (await this.#retention.apply(originOf(context))).map(toLedgerMonth);
  }
}
