import { Field, Int, ObjectType, registerEnumType } from "type-graphql";
import { GraphQLDecimal } from "../graphql/scalars.ts";
import { formatCredits, formatUsd } from "../ledger/amount.ts";
import type { MonthState } from "./store.ts";

export enum LedgerMonthState {
  STORED = "STORED",
  ARCHIVED = "ARCHIVED",
  DROPPED = "DROPPED",
}
registerEnumType(LedgerMonthState, {
  name: "LedgerMonthState",
  description: "Where the calls of a month are.",
  valuesConfig: {
    STORED: { description: "In the ledger." },
    ARCHIVED: { description: "In the ledger, and in a file." },
    DROPPED: { description: "In a file only; their sums are in the rollups." },
  },
});

@ObjectType({ description: "The file that the calls of a month were written to.", simpleResolvers: true })
export class LedgerArchive {
  @Field(() => String, { description: "Its path, as the server that wrote it names it. JSON lines, gzip." })
  file!: string;

  @Field(() => String, { description: "SHA-256 of the file as it lies on the disk, in hexadecimal digits." })
  sha256!: string;

  @Field(() => GraphQLDecimal, { description: "Its length in bytes." })
  bytes!: string;

  @Field(() => GraphQLDecimal, { description: "How many calls are in it." })
  requests!: string;

  @Field(() => GraphQLDecimal, { description: "What they were charged, in credits." })
  credits!: string;

  @Field(() => GraphQLDecimal, { description: "What the providers took for them, in USD." })
  costUsd!: string;

  @Field(() => Date, { description: "When it was written." })
  archivedAt!: Date;
}

@ObjectType({ description: "The calls that began in one month of UTC.", simpleResolvers: true })
export class LedgerMonth {
  @Field(() => String, { description: "E.g. `2026-01`." })
  month!: string;

  @Field(() => LedgerMonthState, { description: "Where they are." })
  state!: `${LedgerMonthState}`;

  @Field(() => GraphQLDecimal, {
    nullable: true,
    description: "What they take in the database, in bytes; null when dropped.",
  })
  storedBytes!: string | null;

  @Field(() => LedgerArchive, { nullable: true, description: "Their file, if they were archived." })
  archive!: LedgerArchive | null;

  @Field(() => Date, { nullable: true, description: "When they were dropped." })
  droppedAt!: Date | null;
}

@ObjectType({ description: "How long calls are kept one by one.", simpleResolvers: true })
export class RetentionStatus {
  @Field(() => Int, {
    nullable: true,
    description: "Months kept beside the one that runs (`RETENTION_MONTHS`); null when nothing is dropped by itself.",
  })
  keepMonths!: number | null;

  @Field(() => Boolean, { description: "Whether a server is archiving or dropping a month now." })
  busy!: boolean;

  @Field(() => [LedgerMonth], { description: "Every month that has calls or an archive, the oldest first." })
  months!: LedgerMonth[];
}

export function toLedgerMonth({ month, stored, archive }: MonthState): LedgerMonth {
  return {
    month,
    state: archive?.droppedAt ? "DROPPED" : archive ? "ARCHIVED" : "STORED",
    storedBytes: stored ? stored.bytes.toString() : null,
    archive: archive ? toLedgerArchive(archive) : null,
    droppedAt: archive?.droppedAt ?? null,
  };
}

function toLedgerArchive(archive: NonNullable<MonthState["archive"]>): LedgerArchive {
  const { file, sha256, bytes, requests, charged, costNanoUsd, archivedAt } = archive;
  return {
    file,
    sha256,
    bytes: bytes.toString(),
    requests: requests.toString(),
    credits: formatCredits(charged),
    costUsd: formatUsd(costNanoUsd),
    archivedAt,
  };
}
