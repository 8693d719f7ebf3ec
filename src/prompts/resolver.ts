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
  toPromptSearch,
  toRecord,
  toTerms,
  toWhose,
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
      "Agrees that prompts and answers are kept, or takes it back; in force within 5 seconds, and what is kept stays. The holder sees it in `me`. Fails with NOT_FOUND.",
  })
  async setPromptLog(
    @Arg("input", () => SetPromptLogInput) input: SetPromptLogInput,
    @Ctx() context: Context,
  ): Promise<PromptLogTerms> {
    return toTerms(await this.#prompts.agree(originOf(context), toWhose(input), input.days ?? null));
  }

  @Directive('@role(requires: "ADMIN")')
  @Query(() => PromptRecordConnection, { description: "Which prompts of an account are kept, newest first." })
  async promptRecords(
    @Arg("filter", () => PromptRecordFilter) filter: PromptRecordFilter,
    @Args(() => PageArgs) page: PageArgs,
  ): Promise<Connection<PromptRecord>> {
    return toConnection(await this.#prompts.list(toPromptSearch(filter), readPage(page)), toRecord);
  }

  @Directive('@role(requires: "ADMIN")')
  @Directive("@rateLimit(limit: 60, duration: 60)")
  @Query(() => PromptText, {
    description: "What was said in one call. Each look is an audit event. Fails with NOT_FOUND when it is not kept.",
  })
  async promptText(
    @Arg("generationId", () => ID, { description: "`gen_…`" }) generationId: string,
    @Ctx() context: Context,
  ): Promise<PromptText> {
    return toRecord(await this.#prompts.read(originOf(context), fromWire("gen", generationId)));
  }

  @Directive('@role(requires: "ADMIN")')
  @Mutation(() => DeletedPrompts, {
    description:
      "Deletes all that an account has said, and the answers that are kept to be given again. The ledger stays. Fails with NOT_FOUND.",
  })
  deleteAccountPrompts(
    @Arg("accountId", () => ID, { description: "`acc_…`" }) accountId: string,
    @Ctx() context: Context,
  ): Promise<DeletedPrompts> {
    return this.#prompts.delete(originOf(context), { accountId: fromWire("acc", accountId) });
  }

  @Directive('@role(requires: "ADMIN")')
  @Mutation(() => DeletedPrompts, {
    description: "Deletes all that was said on behalf of one end user of an account. Fails with NOT_FOUND.",
  })
  deleteEndUserPrompts(
    @Arg("accountId", () => ID, { description: "`acc_…`" }) accountId: string,
    @Arg("endUser", () => String, { description: "As given with the calls." }) endUser: string,
    @Ctx() context: Context,
  ): Promise<DeletedPrompts> {
    return this.#prompts.delete(originOf(context), { accountId: fromWire("acc", accountId), endUser });
  }
}

const shown = "Whether prompts and answers are kept, and for how long.";

@Resolver(() => Me)
export class MyPromptLogResolver {
  readonly #prompts: PromptLog;

  constructor(prompts: PromptLog) {
    this.#prompts = prompts;
  }

  @FieldResolver(() => PromptLogTerms, { description: `${shown} Of the key, or of a MEMBER's account.` })
  async promptLog(@Ctx() context: Context): Promise<PromptLogTerms> {
    return toTerms(await this.#prompts.daysOf(viewerOf(context), context.loaders));
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
    return toTerms((await loaders.load(this.#prompts.byKey, row.id)) ?? 0);
  }
}

@Resolver(() => Account)
export class AccountPromptLogResolver {
  readonly #prompts: PromptLog;

  constructor(prompts: PromptLog) {
    this.#prompts = prompts;
  }

  @FieldResolver(() => PromptLogTerms, { description: `${shown} A key may say something else.` })
  async promptLog(@Root() { id }: Account, @Ctx() { loaders }: Context): Promise<PromptLogTerms> {
    return toTerms((await loaders.load(this.#prompts.byAccount, fromWire("acc", id))) ?? 0);
  }
}
