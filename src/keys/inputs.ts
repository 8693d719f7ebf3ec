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

@InputType({ description: "An API key to create. An absent field is the same as null." })
export class CreateApiKeyInput extends KeySettingsInput {
  @Field(() => String, { description: "A label for people: 1 to 200 characters." })
  override name!: string;

  @Field(() => ID, {
    nullable: true,
    description: "The account that owns the key, `acc_…`; the default account when absent.",
  })
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
    description: "Whether the key spends from the account's shared wallet instead of a wallet of its own.",
  })
  sharedWallet?: boolean | null;

  @Field(() => String, {
    nullable: true,
    description:
      "A plaintext key of your own, 20 to 200 visible ASCII characters; generated when absent. Fails with CONFLICT if it is in use.",
  })
  key?: string | null;
}

@InputType({
  description: "The settings of a key to change. A field that is absent stays as it is; null restores its default.",
})
export class UpdateApiKeyInput extends KeySettingsInput {}

@InputType({ description: "Filters API keys: a key must match all of them." })
export class ApiKeyFilter {
  @Field(() => ID, { nullable: true, description: "Only keys of this account, `acc_…`." })
  accountId?: string | null;

  @Field(() => String, {
    nullable: true,
    description: "Only keys whose name contains this text, at least 1 character; upper and lower case are the same.",
  })
  name?: string | null;

  @Field(() => String, {
    nullable: true,
    description: "Only keys whose `prefix` starts with this text, such as `tg_live_`.",
  })
  prefix?: string | null;

  @Field(() => String, {
    nullable: true,
    description:
      "Only keys of which a secret, current or past, ends with these four characters: for identifying a key that was found.",
  })
  last4?: string | null;

  @Field(() => ApiKeyStatus, { nullable: true, description: "Only keys with this status." })
  status?: `${ApiKeyStatus}` | null;

  @Field(() => String, { nullable: true, description: "Only keys with exactly this tag." })
  tag?: string | null;

  @Field(() => ID, { nullable: true, description: "Only keys with this plan of their own, `pln_…`." })
  planId?: string | null;

  @Field(() => ID, { nullable: true, description: "Created by this user, `usr_…`." })
  createdBy?: string | null;

  @Field(() => Boolean, {
    nullable: true,
    description:
      "Whether rotation is due: the newest secret is older than the account's `rotateKeysAfterDays`. Revoked and expired keys are never due.",
  })
  dueForRotation?: boolean | null;

  @Field(() => Boolean, {
    nullable: true,
    description:
      "Whether a secret that still works was exposed: see `ApiKeySecret.exposedAt`. Revoked keys never count as exposed.",
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
