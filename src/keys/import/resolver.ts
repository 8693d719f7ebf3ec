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
      "Creates all keys of a file, or none. A plaintext key of your own takes about a tenth of a second. Requires OPERATOR. Fails with BAD_USER_INPUT, whose `lines` list up to 100 errors, each with line, field and message.",
  })
  async importApiKeys(
    @Arg("input", () => ImportApiKeysInput, { description: "The file of keys." }) input: ImportApiKeysInput,
    @Ctx() context: Context,
  ): Promise<ApiKeyImport> {
    return toApiKeyImport(await this.#imports.run(originOf(context), toKeyImportOrder(input)));
  }
}
