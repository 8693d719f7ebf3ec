import { Field, ID, InputType, Int } from "type-graphql";
import { GraphQLAnyJson, GraphQLDecimal } from "../graphql/scalars.ts";
import { fromWire } from "../ids.ts";
import { type FieldKind, keyFieldNames, keyFields } from "./rules/key-fields.ts";
import type { KeyInput } from "./rules/key-input.ts";
import { HoursOfUseInput } from "./rules/types.ts";
import type { KeyFilter } from "./sql/search-keys.ts";
import { ApiKeyStatus, LimitMode } from "./types.ts";

/** How a caller gives a field of each kind. */
const graphqlTypes: Record<FieldKind, Parameters<typeof Field>[0]> = {
  text: () => String,
  texts: () => [String],
  integer: () => Int,
  decimal: () => GraphQLDecimal,
  id: () => ID,
  limitMode: () => LimitMode,
  hours: () => HoursOfUseInput,
  timestamp: () => Date,
  json: () => GraphQLAnyJson,
};

/** Has every field of `keyFields`: TypeScript takes them from the type, type-graphql from the loop below. */
@InputType()
class KeyFieldsInput {}
for (const name of keyFieldNames) {
  const { kind, description } = keyFields[name];
  Field(graphqlTypes[kind], { nullable: true, description })(KeyFieldsInput.prototype, name);
}
const KeySettingsInput = KeyFieldsInput as abstract new () => KeyInput;

@InputType({ description: "A new key. What is absent is as if it were null." })
export class CreateApiKeyInput extends KeySettingsInput {
  @Field(() => String, { description: "1 to 200 characters." })
  override name!: string;

  @Field(() => ID, { nullable: true, description: "Whose key it is; the default account when absent." })
  accountId?: string | null;

  @Field(() => GraphQLDecimal, {
    nullable: true,
    defaultValue: "0",
    description: "Credits that it starts with: 0 or more. More than 0 requires ADMIN, as `grantCredits` does.",
  })
  credits?: string | null;

  @Field(() => Boolean, {
    nullable: true,
    defaultValue: false,
    description: "Draw on the account's shared wallet instead of a wallet of its own.",
  })
  sharedWallet?: boolean | null;

  @Field(() => String, {
    nullable: true,
    description:
      "A key text of your own, 20 to 200 visible ASCII characters; minted when absent. Fails with CONFLICT if in use.",
  })
  key?: string | null;
}

@InputType({ description: "A change of a key: a field that is absent stays as it is, and null takes its limit away." })
export class UpdateApiKeyInput extends KeySettingsInput {}

@InputType({ description: "Which keys to list: those to which all of it applies." })
export class ApiKeyFilter {
  @Field(() => ID, { nullable: true, description: "Of this account only." })
  accountId?: string | null;

  @Field(() => String, { nullable: true, description: "Part of the name, in any case; at least 1 character." })
  name?: string | null;

  @Field(() => String, { nullable: true, description: "How `prefix` begins, such as `tg_live_`." })
  prefix?: string | null;

  @Field(() => String, {
    nullable: true,
    description:
      "The last four characters of any secret that the key has or had, e.g. of one that was found somewhere.",
  })
  last4?: string | null;

  @Field(() => ApiKeyStatus, { nullable: true, description: "In this state only." })
  status?: `${ApiKeyStatus}` | null;

  @Field(() => String, { nullable: true, description: "With this tag, as it is written." })
  tag?: string | null;

  @Field(() => ID, { nullable: true, description: "With this plan as its own." })
  planId?: string | null;

  @Field(() => ID, { nullable: true, description: "Created by this user, `usr_…`." })
  createdBy?: string | null;

  @Field(() => Boolean, {
    nullable: true,
    description:
      "Whether the newest secret is older than `rotateKeysAfterDays` of its account. Revoked and expired keys are not due.",
  })
  dueForRotation?: boolean | null;

  @Field(() => Boolean, {
    nullable: true,
    description:
      "Whether a secret that still works was exposed, as `ApiKeySecret.exposedAt` says. Not of revoked keys.",
  })
  exposed?: boolean | null;
}

export function toKeyOrder({ accountId, ...input }: CreateApiKeyInput) {
  const { name } = input;
  return {
    ...input,
    ...toKeyChange(input),
    name,
    accountId: accountId == null ? undefined : fromWire("acc", accountId),
  };
}

export function toKeyChange(input: UpdateApiKeyInput): KeyInput {
  const { planId } = input;
  return { ...input, planId: planId == null ? planId : fromWire("pln", planId) };
}

export function toKeyFilter({ accountId, planId, createdBy, ...filter }: ApiKeyFilter): KeyFilter {
  return {
    createdBy: createdBy == null ? undefined : `user:${fromWire("usr", createdBy)}`,
    accountId: accountId == null ? undefined : fromWire("acc", accountId),
    planId: planId == null ? undefined : fromWire("pln", planId),
    name: filter.name ?? undefined,
    prefix: filter.prefix ?? undefined,
    last4: filter.last4 ?? undefined,
    status: filter.status ?? undefined,
    tag: filter.tag ?? undefined,
    dueForRotation: filter.dueForRotation ?? undefined,
    exposed: filter.exposed ?? undefined,
  };
}
