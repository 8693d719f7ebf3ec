import { Field, ID, InputType } from "type-graphql";
import { fromWire } from "../../ids.ts";
import { GenerationStatus } from "../../ledger/types.ts";
import type { FeedFilter } from "./service.ts";

@InputType({ description: "Which generations to be told of. What the caller may not see is never told." })
export class GenerationFeedFilter {
  @Field(() => ID, { nullable: true, description: "Of this account only." })
  accountId?: string | null;

  @Field(() => ID, { nullable: true, description: "Of this key only." })
  apiKeyId?: string | null;

  @Field(() => String, { nullable: true, description: "Of this model only, by its name." })
  model?: string | null;

  @Field(() => GenerationStatus, { nullable: true, description: "That ended like this only." })
  status?: `${GenerationStatus}` | null;

  @Field(() => String, { nullable: true, description: "With this tag only." })
  tag?: string | null;

  @Field(() => String, { nullable: true, description: "For this end user only." })
  endUser?: string | null;
}

export function toFeedFilter({ accountId, apiKeyId, model, status, tag, endUser }: GenerationFeedFilter): FeedFilter {
  return {
    accountId: accountId == null ? undefined : fromWire("acc", accountId),
    apiKeyId: apiKeyId == null ? undefined : fromWire("key", apiKeyId),
    model: model ?? undefined,
    status: status ?? undefined,
    tag: tag ?? undefined,
    endUser: endUser ?? undefined,
  };
}
