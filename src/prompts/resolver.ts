import { Arg, Args, Ctx, Directive, FieldResolver, ID, Mutation, Query, Resolver, Root } from "type-graphql";
import { Account } from "../accounts/types.ts";
import { Me } from "../auth/types.ts";
import { type Context, originOf, viewerOf } from "../auth/viewer.ts";
import { type Connection, PageArgs, readPage, toConnection } from "../graphql/pagination.ts";
import { fromWire } from "../ids.ts";
import { ApiKey } from "../keys/types.ts";
import type { PromptLog } from "./service.ts";
import {
  DeletedPrompts,
  PromptLogTerms,
  type PromptRecord,
  PromptRecordConnection,
  PromptRecordFilter,
  PromptText,
  SetPromptLogInput,
  toPromptLogOwner,
  toPromptLogTerms,
  toPromptRecord,
  toPromptSearch,
} from "./types.ts";

@Resolver()
export class PromptsResolver {
  readonly #prompts: PromptLog;

  constructor(prompts: PromptLog) {
    this.#prompts = prompts;
  }

  @Directive('@role(requires: "ADMIN")')
  @Mutation(() => PromptLogTerms, {
    description:
      "Turns prompt logs of a key or an account on or off, within 5 seconds. Records that exist stay until they expire. The key's holder sees the setting in `me`. Requires ADMIN. Fails with NOT_FOUND or BAD_USER_INPUT.",
  })
  async setPromptLog(
    @Arg("input", () => SetPromptLogInput, { description: "The key or account, and its setting." })
    input: SetPromptLogInput,
    @Ctx() context: Context,
  ): Promise<PromptLogTerms> {
    return toPromptLogTerms(
      await this.#prompts.configure(originOf(context), toPromptLogOwner(input), input.days ?? null),
    );
  }

  @Directive('@role(requires: "ADMIN")')
  @Query(() => PromptRecordConnection, {
    description: "Prompt log records of an account, newest first, without their text. Requires ADMIN.",
  })
  async promptRecords(
    @Arg("filter", () => PromptRecordFilter, { description: "The account, and which of its records to list." })
    filter: PromptRecordFilter,
    @Args(() => PageArgs) page: PageArgs,
  ): Promise<Connection<PromptRecord>> {
    return toConnection(await this.#prompts.list(toPromptSearch(filter), readPage(page)), toPromptRecord);
  }

  @Directive('@role(requires: "ADMIN")')
  @Directive("@rateLimit(limit: 60, duration: 60)")
  @Query(() => PromptText, {
    description:
      "The logged prompt and answer of one call. Each read is an audit event. Requires ADMIN. Fails with NOT_FOUND when the call was not logged or its record has expired.",
  })
  async promptText(
    @Arg("generationId", () => ID, { description: "The call, `gen_…`." }) generationId: string,
    @Ctx() context: Context,
  ): Promise<PromptText> {
    return toPromptRecord(await this.#prompts.read(originOf(context), fromWire("gen", generationId)));
  }

  @Directive('@role(requires: "ADMIN")')
  @Mutation(() => DeletedPrompts, {
    description:
      "Deletes all prompt logs and cached answers of an account. The ledger stays. Requires ADMIN. Fails with NOT_FOUND.",
  })
  deleteAccountPrompts(
    @Arg("accountId", () => ID, { description: "The account, `acc_…`." }) accountId: string,
    @Ctx() context: Context,
  ): Promise<DeletedPrompts> {
    return this.#prompts.delete(originOf(context), { accountId: fromWire("acc", accountId) });
  }

  @Directive('@role(requires: "ADMIN")')
  @Mutation(() => DeletedPrompts, {
    description: "Deletes all prompt logs of one end user of an account. Requires ADMIN. Fails with NOT_FOUND.",
  })
  deleteEndUserPrompts(
    @Arg("accountId", () => ID, { description: "The account, `acc_…`." }) accountId: string,
    @Arg("endUser", () => String, { description: "The end user, as in `GenerateInput.endUser`." }) endUser: string,
    @Ctx() context: Context,
  ): Promise<DeletedPrompts> {
    return this.#prompts.delete(originOf(context), { accountId: fromWire("acc", accountId), endUser });
  }
}

const shown = "The prompt log setting: whether prompts and answers are logged, and for how many days.";

@Resolver(() => Me)
export class MyPromptLogResolver {
  readonly #prompts: PromptLog;

  constructor(prompts: PromptLog) {
    this.#prompts = prompts;
  }

  @FieldResolver(() => PromptLogTerms, { description: `${shown} For an API key its own, for a MEMBER its account's.` })
  async promptLog(@Ctx() context: Context): Promise<PromptLogTerms> {
    return toPromptLogTerms(await this.#prompts.daysOf(viewerOf(context), context.loaders));
  }
}

@Resolver(() => ApiKey)
export class ApiKeyPromptLogResolver {
  readonly #prompts: PromptLog;

  constructor(prompts: PromptLog) {
    this.#prompts = prompts;
  }

  @FieldResolver(() => PromptLogTerms, { description: shown })
  async promptLog(@Root() { row }: ApiKey, @Ctx() { loaders }: Context): Promise<PromptLogTerms> {
    return toPromptLogTerms((await loaders.load(this.#prompts.byKey, row.id)) ?? 0);
  }
}

@Resolver(() => Account)
export class AccountPromptLogResolver {
  readonly #prompts: PromptLog;

  constructor(prompts: PromptLog) {
    this.#prompts = prompts;
  }

  @FieldResolver(() => PromptLogTerms, { description: `${shown} A key's own setting takes precedence.` })
  async promptLog(@Root() { id }: Account, @Ctx() { loaders }: Context): Promise<PromptLogTerms> {
    return toPromptLogTerms((await loaders.load(this.#prompts.byAccount, fromWire("acc", id))) ?? 0);
  }
}
