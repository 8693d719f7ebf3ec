import { Arg, Directive, Query, Resolver } from "type-graphql";
import type { Reconciler } from "./service.ts";
import { Reconciliation, toReconciliation } from "./types.ts";

@Resolver()
export class ReconcileResolver {
  readonly #reconciler: Reconciler;

  constructor(reconciler: Reconciler) {
    this.#reconciler = reconciler;
  }

  @Directive('@role(requires: "ANALYST")')
  @Query(() => Reconciliation, {
    description: "Reconciles one UTC day: compares the ledger rows with the rollups and the wallets. Requires ANALYST.",
  })
  async reconcile(
    @Arg("day", () => Date, { description: "Any timestamp of the day, in UTC." }) day: Date,
  ): Promise<Reconciliation> {
    return toReconciliation(await this.#reconciler.reconcile(day));
  }
}
