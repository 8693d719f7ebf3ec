import { Field, ID, InputType, Int, ObjectType } from "type-graphql";
import { connectionOf } from "../../graphql/pagination.ts";
import { GraphQLDecimal } from "../../graphql/scalars.ts";
import { toWire } from "../../ids.ts";
import { formatUsd } from "../../ledger/amount.ts";
import type { ComparedInvoice, ComparedLine } from "./service.ts";
import type { InvoiceRow } from "./store.ts";

@InputType({ description: "An invoice of a provider, as a CSV file." })
export class ImportProviderInvoiceInput {
  @Field(() => String, {
    description: "Name of the provider, as `models` lists it: 1 to 100 letters, digits and . _ : / @ + # -",
  })
  provider!: string;

  @Field(() => String, {
    description:
      "Invoice number of the provider: 1 to 100 letters, digits and . _ : / @ + # -. Importing the same number again replaces the invoice.",
  })
  number!: string;

  @Field(() => String, {
    description:
      "The file. Its first line must name the columns `day` (such as 2030-01-31, in UTC), `model`, `tokens` and `cost` (USD); other columns are ignored. At most 20,000 lines.",
  })
  csv!: string;
}

@ObjectType({ description: "An invoice of a provider, as imported last.", simpleResolvers: true })
export class ProviderInvoice {
  @Field(() => ID, { description: "Id of the invoice, `inv_…`." })
  id!: string;

  @Field(() => String, { description: "Name of the provider." })
  provider!: string;

  @Field(() => String, { description: "Invoice number of the provider." })
  number!: string;

  @Field(() => Int, { description: "Number of lines: one for each day and model." })
  lines!: number;

  @Field(() => String, { description: "First day of the invoice in UTC, such as 2030-01-01." })
  firstDay!: string;

  @Field(() => String, { description: "Last day of the invoice in UTC, inclusive." })
  lastDay!: string;

  @Field(() => GraphQLDecimal, { description: "Tokens of all lines, as a whole number." })
  tokens!: string;

  @Field(() => GraphQLDecimal, { description: "Cost of all lines, in USD." })
  costUsd!: string;

  @Field(() => String, { description: "Who imported the invoice, such as `user:…`." })
  importedBy!: string;

  @Field(() => Date, { description: "When the invoice was last imported." })
  importedAt!: Date;
}

export const ProviderInvoiceConnection = connectionOf(ProviderInvoice, "ProviderInvoice");

@ObjectType({ description: "One day and model: the invoice compared with the ledger.", simpleResolvers: true })
export class InvoiceDifference {
  @Field(() => String, { nullable: true, description: "The day in UTC; null for the total." })
  day!: string | null;

  @Field(() => String, { nullable: true, description: "The name of the model at the provider; null for the total." })
  model!: string | null;

  @Field(() => GraphQLDecimal, { description: "Tokens by the invoice; 0 without such a line." })
  invoicedTokens!: string;

  @Field(() => GraphQLDecimal, { description: "Input and output tokens by the ledger." })
  ourTokens!: string;

  @Field(() => GraphQLDecimal, { description: "Invoiced tokens less those of the ledger." })
  tokensDifference!: string;

  @Field(() => GraphQLDecimal, { description: "Cost by the invoice, in USD." })
  invoicedCostUsd!: string;

  @Field(() => GraphQLDecimal, { description: "Cost by the ledger in USD, corrections of restatements included." })
  ourCostUsd!: string;

  @Field(() => GraphQLDecimal, {
    description: "Invoiced cost less that of the ledger, in USD: above 0 where the provider asks for more.",
  })
  costUsdDifference!: string;
}

@ObjectType({ description: "An invoice compared with the ledger.", simpleResolvers: true })
export class InvoiceComparison {
  @Field(() => ProviderInvoice, { description: "The invoice." })
  invoice!: ProviderInvoice;

  @Field(() => Date, {
    description: "Time of the snapshot: every call settled by then is in the figures of the ledger.",
  })
  asOf!: Date;

  @Field(() => Date, {
    nullable: true,
    description:
      "Calls before this were archived and dropped: the ledger then has them by the model asked for (of a preset, by its base model) in place of the model that answered. Null when all calls are kept.",
  })
  droppedBefore!: Date | null;

  @Field(() => InvoiceDifference, { description: "The total over all days and models." })
  total!: InvoiceDifference;

  @Field(() => [InvoiceDifference], {
    description:
      "One row for each day and model from the first day of the invoice to the last, also where both agree. A call counts for the model that answered it, also where a preset or another model was asked for.",
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
