import { Arg, Ctx, Directive, Mutation, Resolver } from "type-graphql";
import { type Context, originOf, personOf } from "../../auth/viewer.ts";
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
      "Creates all API keys of a file, or none. Requires OPERATOR, and ADMIN for a file with credits above 0. Fails with FORBIDDEN, and with BAD_USER_INPUT, whose `lines` have the line, field and message of each fault, at most 100. A key text of the file takes about a tenth of a second.",
  })
  async importApiKeys(
    @Arg("input", () => ImportApiKeysInput, { description: "The file of keys." }) input: ImportApiKeysInput,
    @Ctx() context: Context,
  ): Promise<ApiKeyImport> {
    const order = toKeyImportOrder(input);
    return toApiKeyImport(await this.#imports.run(originOf(context), personOf(context), order));
  }
}
