import { Field, ID, InputType } from "type-graphql";
import { fromWire } from "../../ids.ts";
import { GenerationStatus } from "../../ledger/types.ts";
import type { FeedFilter } from "./service.ts";

@InputType({ description: "Filters of `generationFeed`: a call must match all of them, and be visible to the caller." })
export class GenerationFeedFilter {
  @Field(() => ID, { nullable: true, description: "Only calls of this account, `acc_…`." })
  accountId?: string | null;

  @Field(() => ID, { nullable: true, description: "Only calls of this key, `key_…`." })
  apiKeyId?: string | null;

  @Field(() => String, { nullable: true, description: "Only calls of the model with this name." })
  model?: string | null;

  @Field(() => GenerationStatus, { nullable: true, description: "Only calls with this status." })
  status?: `${GenerationStatus}` | null;

  @Field(() => String, { nullable: true, description: "Only calls with this tag." })
  tag?: string | null;

  @Field(() => String, { nullable: true, description: "Only calls for this end user." })
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
