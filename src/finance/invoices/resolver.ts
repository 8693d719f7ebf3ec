import { Arg, Args, Ctx, Directive, ID, Mutation, Query, Resolver } from "type-graphql";
import { type Context, originOf, viewerOf } from "../../auth/viewer.ts";
import { type Connection, PageArgs, readPage, toConnection } from "../../graphql/pagination.ts";
import { fromWire } from "../../ids.ts";
import type { Invoices } from "./service.ts";
import {
  ImportProviderInvoiceInput,
  InvoiceComparison,
  ProviderInvoice,
  ProviderInvoiceConnection,
  toComparison,
  toProviderInvoice,
} from "./types.ts";

@Resolver()
export class InvoiceResolver {
  readonly #invoices: Invoices;

  constructor(invoices: Invoices) {
    this.#invoices = invoices;
  }

  @Directive('@role(requires: "ADMIN")')
  @Mutation(() => ProviderInvoice, {
    description:
      "Imports a provider's invoice, whole or not at all; the same number again replaces it. Fails with BAD_USER_INPUT, whose `lines` say what is wrong with which line.",
  })
  async importProviderInvoice(
    @Arg("input", () => ImportProviderInvoiceInput) input: ImportProviderInvoiceInput,
    @Ctx() context: Context,
  ): Promise<ProviderInvoice> {
    return toProviderInvoice(await this.#invoices.import(originOf(context), input));
  }

  @Directive('@role(requires: "ANALYST")')
  @Query(() => ProviderInvoiceConnection, { description: "Providers' invoices, the newest import first." })
  async providerInvoices(@Args(() => PageArgs) page: PageArgs): Promise<Connection<ProviderInvoice>> {
    return toConnection(await this.#invoices.list(readPage(page)), toProviderInvoice);
  }

  @Directive('@role(requires: "ANALYST")')
  @Query(() => InvoiceComparison, {
    description: "An invoice beside the ledger, by day and model. Fails with NOT_FOUND.",
  })
  async compareProviderInvoice(
    @Arg("id", () => ID, { description: "`inv_…`" }) id: string,
    @Ctx() context: Context,
  ): Promise<InvoiceComparison> {
    return toComparison(await this.#invoices.compare(viewerOf(context), fromWire("inv", id)));
  }
}
