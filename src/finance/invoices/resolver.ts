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
      "Imports an invoice of a provider, whole or not at all; importing the same number again replaces it. Requires ADMIN. Fails with BAD_USER_INPUT, whose `lines` list the errors of the file line by line.",
  })
  async importProviderInvoice(
    @Arg("input", () => ImportProviderInvoiceInput, { description: "The invoice." }) input: ImportProviderInvoiceInput,
    @Ctx() context: Context,
  ): Promise<ProviderInvoice> {
    return toProviderInvoice(await this.#invoices.import(originOf(context), input));
  }

  @Directive('@role(requires: "ANALYST")')
  @Query(() => ProviderInvoiceConnection, {
    description: "Imported invoices of providers, newest first. Requires ANALYST.",
  })
  async providerInvoices(@Args(() => PageArgs) page: PageArgs): Promise<Connection<ProviderInvoice>> {
    return toConnection(await this.#invoices.list(readPage(page)), toProviderInvoice);
  }

  @Directive('@role(requires: "ANALYST")')
  @Query(() => InvoiceComparison, {
    description:
      "Compares an invoice with the ledger, by day and model. Requires ANALYST. Fails with NOT_FOUND, or BAD_USER_INPUT for more than 10,000 days and models.",
  })
  async compareProviderInvoice(
    @Arg("id", () => ID, { description: "Id of the invoice, `inv_…`." }) id: string,
    @Ctx() context: Context,
  ): Promise<InvoiceComparison> {
    return toComparison(await this.#invoices.compare(viewerOf(context), fromWire("inv", id)));
  }
}
