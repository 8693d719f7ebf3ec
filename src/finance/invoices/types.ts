import { Field, ID, InputType, Int, ObjectType } from "type-graphql";
import { connectionOf } from "../../graphql/pagination.ts";
import { GraphQLDecimal } from "../../graphql/scalars.ts";
import { toWire } from "../../ids.ts";
import { formatUsd } from "../../ledger/amount.ts";
import type { ComparedInvoice, ComparedLine } from "./service.ts";
import type { InvoiceRow } from "./store.ts";

@InputType({ description: "A provider's invoice as a CSV file." })
export class ImportProviderInvoiceInput {
  @Field(() => String, { description: "Who sent it: the provider's name here, as `models` lists it." })
  provider!: string;

  @Field(() => String, { description: "The provider's number of it, 1 to 100 characters. The same again replaces it." })
  number!: string;

  @Field(() => String, {
    description:
      "Columns `day` (2030-01-31, UTC), `model`, `tokens` and `cost` (USD), named in the first line; others are passed over. At most 20,000 lines.",
  })
  csv!: string;
}

@ObjectType({ description: "A provider's invoice, as it was imported last.", simpleResolvers: true })
export class ProviderInvoice {
  @Field(() => ID, { description: "`inv_…`" })
  id!: string;

  @Field(() => String, { description: "Who sent it." })
  provider!: string;

  @Field(() => String, { description: "The provider's number of it." })
  number!: string;

  @Field(() => Int, { description: "How many days and models it has." })
  lines!: number;

  @Field(() => String, { description: "Its first day, e.g. 2030-01-01, in UTC." })
  firstDay!: string;

  @Field(() => String, { description: "Its last day." })
  lastDay!: string;

  @Field(() => GraphQLDecimal, { description: "Tokens of all lines." })
  tokens!: string;

  @Field(() => GraphQLDecimal, { description: "USD of all lines." })
  costUsd!: string;

  @Field(() => String, { description: "Who imported it, e.g. `user:…`." })
  importedBy!: string;

  @Field(() => Date, { description: "When it was imported last." })
  importedAt!: Date;
}

export const ProviderInvoiceConnection = connectionOf(ProviderInvoice, "ProviderInvoice");

@ObjectType({ description: "One day and model of an invoice, beside the ledger's.", simpleResolvers: true })
export class InvoiceDifference {
  @Field(() => String, { nullable: true, description: "In UTC; null for the sum of all." })
  day!: string | null;

  @Field(() => String, { nullable: true, description: "The provider's name of the model; null for the sum of all." })
  model!: string | null;

  @Field(() => GraphQLDecimal, { description: "By the invoice; 0 where it has no such line." })
  invoicedTokens!: string;

  @Field(() => GraphQLDecimal, { description: "By the ledger: tokens read and written." })
  ourTokens!: string;

  @Field(() => GraphQLDecimal, { description: "Invoiced less ours." })
  tokensDifference!: string;

  @Field(() => GraphQLDecimal, { description: "USD by the invoice." })
  invoicedCostUsd!: string;

  @Field(() => GraphQLDecimal, { description: "USD by the ledger, corrections of prices included." })
  ourCostUsd!: string;

  @Field(() => GraphQLDecimal, { description: "USD invoiced less ours: above 0 where the provider asks for more." })
  costUsdDifference!: string;
}

@ObjectType({ description: "An invoice beside the ledger.", simpleResolvers: true })
export class InvoiceComparison {
  @Field(() => ProviderInvoice, { description: "The invoice." })
  invoice!: ProviderInvoice;

  @Field(() => Date, { description: "Everything settled by this instant is in our figures." })
  asOf!: Date;

  @Field(() => Date, {
    nullable: true,
    description:
      "Calls of the invoice's days before this were archived and dropped: ours are then by the model that was asked for, or the base of a preset. Null when all are there.",
  })
  droppedBefore!: Date | null;

  @Field(() => InvoiceDifference, { description: "Over all days and models." })
  total!: InvoiceDifference;

  @Field(() => [InvoiceDifference], {
    description:
      "By day and model, of the days from the invoice's first to its last; what both agree on is in it, too. A call counts for the model that answered it, also where a preset or another model was asked for.",
  })
  rows!: InvoiceDifference[];
}

export function toProviderInvoice({ id, costNanoUsd, tokens, ...row }: InvoiceRow): ProviderInvoice {
  return { ...row, id: toWire("inv", id), tokens: tokens.toString(), costUsd: formatUsd(costNanoUsd) };
}

export function toComparison({ invoice, asOf, droppedBefore, lines }: ComparedInvoice): InvoiceComparison {
  const sum = (of: (line: ComparedLine) => bigint) => lines.reduce((total, line) => total + of(line), 0n);
  const invoiced = { tokens: sum((l) => l.invoiced.tokens), costNanoUsd: sum((l) => l.invoiced.costNanoUsd) };
  const ours = { tokens: sum((l) => l.ours.tokens), costNanoUsd: sum((l) => l.ours.costNanoUsd) };
  const total = toDifference({ day: null, model: null, invoiced, ours });
  return { invoice: toProviderInvoice(invoice), asOf, droppedBefore, total, rows: lines.map(toDifference) };
}

type Compared = Pick<ComparedLine, "invoiced" | "ours"> & Pick<InvoiceDifference, "day" | "model">;

function toDifference({ day, model, invoiced, ours }: Compared): InvoiceDifference {
  return {
    day,
    model,
    invoicedTokens: invoiced.tokens.toString(),
    ourTokens: ours.tokens.toString(),
    tokensDifference: (invoiced.tokens - ours.tokens).toString(),
    invoicedCostUsd: formatUsd(invoiced.costNanoUsd),
    ourCostUsd: formatUsd(ours.costNanoUsd),
    costUsdDifference: formatUsd(invoiced.costNanoUsd - ours.costNanoUsd),
  };
}
