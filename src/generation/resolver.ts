import { Arg, Args, Ctx, Directive, FieldResolver, Mutation, Query, Resolver, Root } from "type-graphql";
import { type Context, viewerOf } from "../auth/viewer.ts";
import { AppError } from "../errors.ts";
import type { PaidContext } from "../graphql/directives/cost.ts";
import { type Connection, PageArgs, readPage, toConnection } from "../graphql/pagination.ts";
import type { KeysService } from "../keys/service.ts";
import { ApiKey, toApiKey } from "../keys/types.ts";
import { GenerateInput, GenerationFilter, toSearch } from "./inputs/generate.ts";
import type { PaidGeneration, SettledAnswer } from "./paid-call.ts";
import type { GenerationSearches } from "./search.ts";
import type { GenerationService } from "./service.ts";
import { Generation, GenerationConnection, toGeneration } from "./types.ts";

@Resolver(() => Generation)
export class GenerationResolver {
  readonly #generation: GenerationService;
  readonly #searches: GenerationSearches;
  readonly #keys: KeysService;

  constructor(generation: GenerationService, searches: GenerationSearches, keys: KeysService) {
    this.#generation = generation;
    this.#searches = searches;
    this.#keys = keys;
  }

  /** The input is read when the call is paid for, before this runs; what is returned here is then settled. */
  @Directive('@scope(requires: "generate")')
  @Directive("@rateLimit(limit: 600, duration: 60)")
  @Directive('@cost(base: "1", metered: true)')
  @Mutation(() => Generation, {
    description:
      "Calls a model and returns its answer. Credits are reserved before the call and settled after it. When the client leaves during the call, the input and the text that the model wrote until then are charged. Requires an API key with the scope `generate`. Fails with BAD_USER_INPUT, INPUT_TOO_LARGE, NOT_FOUND, MODEL_UNPRICED, MODEL_NOT_ALLOWED, RATE_LIMITED, OUT_OF_CREDITS, BUDGET_EXCEEDED, IDEMPOTENCY_MISMATCH, IDEMPOTENCY_IN_PROGRESS, PROVIDER_FAILED, PROVIDER_TIMEOUT or UNAVAILABLE.",
  })
  generate(
    @Arg("input", () => GenerateInput, { description: "The call." }) _input: GenerateInput,
    @Ctx() { paidCall }: PaidContext<Context, PaidGeneration>,
  ): Promise<SettledAnswer> {
    return this.#generation.ask(paidCall);
  }

  @Directive('@scope(requires: "usage:read")')
  @Query(() => GenerationConnection, {
    description:
      "Calls, newest first. A key with the scope `usage:read` sees its own calls, a MEMBER those of its account, an ANALYST all. Fails with BAD_USER_INPUT, NOT_FOUND for malformed ids, or UNAVAILABLE when the search takes too long.",
  })
  async generations(
    @Arg("filter", () => GenerationFilter, {
      nullable: true,
      description: "Which calls to list; all that the caller may see when absent.",
    })
    filter: GenerationFilter | null,
    @Args(() => PageArgs) page: PageArgs,
    @Ctx() context: Context,
  ): Promise<Connection<Generation>> {
    const found = await this.#searches.list(viewerOf(context), toSearch(filter ?? {}), readPage(page));
    return toConnection(found, (row) => toGeneration(row));
  }

  @FieldResolver(() => ApiKey, { description: "The key that paid for the call." })
  async apiKey(@Root() { apiKeyId }: Generation, @Ctx() { loaders }: Context): Promise<ApiKey> {
    const key = await loaders.load(this.#keys.byId, apiKeyId);
    if (!key) throw new AppError("NOT_FOUND");
    return toApiKey(key);
  }
}
