import type { DocumentNode, GraphQLError } from "graphql";
import type { Context } from "../auth/viewer.ts";
import { catalogue } from "../errors.ts";
import type { Documents } from "../graphql/documents.ts";
import type { StrangerBudget } from "../limits/stranger-budget.ts";

/**
 * Reads the document of an operation. Documents of known callers are kept. A stranger is a caller without an accepted
 * credential: a stranger's document must be smaller, is never kept, and uses the budget of its address. A sign-in uses it
 * only if its document is not valid: it has a limit of its own, and must work beside others who misuse the address.
 */
const strangersBounds = { documentBytesMax: 16_384, tokensMax: 600 } as const;
/** An address that has used its budget may send sign-ins only, so longer documents are not read. */
const signInBytesMax = 2_048;

export class DocumentReader {
  readonly #documents: Documents;
  readonly #budget: StrangerBudget;

  constructor(documents: Documents, budget: StrangerBudget) {
    this.#documents = documents;
    this.#budget = budget;
  }

  /** @throws BAD_USER_INPUT, RATE_LIMITED, UNAVAILABLE while no credential can be checked, or the error of a text that does not parse */
  async read(text: string, context: Context, isOwn: boolean): Promise<DocumentNode | readonly GraphQLError[]> {
    const { viewer, refusal } = context.identity;
    // The credential could not be checked, which is not the caller's doing and must not use its address's budget.
    if (refusal && catalogue[refusal.code].status >= 500) throw refusal;
    const known = isOwn || viewer !== undefined;
    return known ? this.#readKnown(text) : this.#readStrangers(text, context.ip);
  }

  #readKnown(text: string): DocumentNode | readonly GraphQLError[] {
    const kept = this.#documents.find(text);
    if (kept) return kept;
    const document = this.#documents.parse(text);
    const errors = this.#documents.validate(document);
    if (errors.length > 0) return errors;
    this.#documents.keep(text, document);
    return document;
  }

  async #readStrangers(text: string, ip: string): Promise<DocumentNode | readonly GraphQLError[]> {
    const exhausted = text.length > signInBytesMax && this.#budget.exhaustion(ip);
    if (exhausted) throw exhausted;
    let document: DocumentNode;
    try {
      document = this.#documents.parse(text, strangersBounds);
    } catch (error) {
      await this.#budget.spend(ip);
      throw error;
    }
    const isLimited = this.#documents.isLimitedByField(document);
    if (!isLimited) await this.#budget.spend(ip);
    const errors = this.#documents.validate(document);
    if (errors.length === 0) return document;
    if (isLimited) await this.#budget.spend(ip);
    return errors;
  }
}
