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
    description: "Compares the ledger, the rollups and the wallets for the UTC day of an instant.",
  })
  async reconcile(@Arg("day", () => Date) day: Date): Promise<Reconciliation> {
    return toReconciliation(await this.#reconciler.reconcile(day));
  }
}
