import { Arg, Ctx, Directive, Mutation, Resolver } from "type-graphql";
import { type Context, originOf } from "../../auth/viewer.ts";
import type { KeyImport } from "./service.ts";
import { ApiKeyImport, ImportApiKeysInput, toApiKeyImport, toKeyImportOrder } from "./types.ts";

@Resolver()
export class ImportResolver {
  readonly #imports: KeyImport;

  constructor(imports: KeyImport) {
    this.#imports = imports;
  }

  @Directive('@role(requires: "OPERATOR")')
  @Directive("@rateLimit(limit: 10, duration: 60)")
  @Mutation(() => ApiKeyImport, {
    description:
      "Creates all keys of a file, or none: fails with BAD_USER_INPUT, whose `lines` say for each fault its line, field and message, at most 100. A brought key takes about a tenth of a second.",
  })
  async importApiKeys(
    @Arg("input", () => ImportApiKeysInput, { description: "The file of keys." }) input: ImportApiKeysInput,
    @Ctx() context: Context,
  ): Promise<ApiKeyImport> {
    return toApiKeyImport(await this.#imports.run(originOf(context), toKeyImportOrder(input)));
  }
}
