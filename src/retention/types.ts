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
  description: "Where the calls of a month are kept.",
  valuesConfig: {
    STORED: { description: "In the ledger." },
    ARCHIVED: { description: "In the ledger and in a file." },
    DROPPED: { description: "Only in a file. Their sums stay in the rollups." },
  },
});

@ObjectType({ description: "The archive of a month: a file with its calls.", simpleResolvers: true })
export class LedgerArchive {
  @Field(() => String, { description: "Path of the file on the server that wrote it. JSON lines, compressed by gzip." })
  file!: string;

  @Field(() => String, { description: "SHA-256 of the compressed file, in hexadecimal digits." })
  sha256!: string;

  @Field(() => GraphQLDecimal, { description: "Size of the compressed file in bytes." })
  bytes!: string;

  @Field(() => GraphQLDecimal, { description: "Number of calls in the file." })
  requests!: string;

  @Field(() => GraphQLDecimal, { description: "Credits charged for those calls." })
  credits!: string;

  @Field(() => GraphQLDecimal, { description: "Cost of those calls at the providers, in USD." })
  costUsd!: string;

  @Field(() => Date, { description: "When the file was written." })
  archivedAt!: Date;
}

@ObjectType({ description: "The calls that began in one month, in UTC.", simpleResolvers: true })
export class LedgerMonth {
  @Field(() => String, { description: "The month, such as `2026-01`." })
  month!: string;

  @Field(() => LedgerMonthState, { description: "Where the calls are kept." })
  state!: `${LedgerMonthState}`;

  @Field(() => GraphQLDecimal, {
    nullable: true,
    description: "Size of the calls in the database in bytes, indexes included; null when dropped.",
  })
  storedBytes!: string | null;

  @Field(() => LedgerArchive, { nullable: true, description: "The archive; null for a month that was not archived." })
  archive!: LedgerArchive | null;

  @Field(() => Date, {
    nullable: true,
    description: "When the calls were dropped from the database; null while they are stored.",
  })
  droppedAt!: Date | null;
}

@ObjectType({ description: "The retention policy for calls, and the state of each month.", simpleResolvers: true })
export class RetentionStatus {
  @Field(() => Int, {
    nullable: true,
    description:
      "Number of months kept beside the current one (`RETENTION_MONTHS`); null when no month is dropped automatically.",
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
