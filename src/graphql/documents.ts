import {
  type DocumentNode,
  type GraphQLError,
  type GraphQLSchema,
  Kind,
  NoSchemaIntrospectionCustomRule,
  OverlappingFieldsCanBeMergedRule,
  parse,
  specifiedRules,
  type ValidationRule,
  validate,
} from "graphql";
import { KeptBySize } from "../tasks/kept-by-size.ts";
import { checkDocumentSize } from "./document-bounds.ts";
import { checkText } from "./document-text.ts";
import { type CallerBounds, checkLiterals, limits, validationRules } from "./hardening.ts";
import { mergeableFields } from "./mergeable-fields.ts";

/**
 * Reads documents: bounds the text, parses it, bounds the document and validates it. Each step takes time in proportion
 * to the text. Valid documents of known callers are kept by their text.
 */
export interface DocumentsOptions {
  schema: GraphQLSchema;
  introspection: boolean;
}

/** A parsed document takes some 35 bytes for each character of its text. */
const keptCharactersMax = 1_048_576;
const documentCharactersMax = 16_384;
/** Each error may compare a name with all names of the schema, to make a suggestion. */
const errorsMax = 20;

export class Documents {
  readonly #schema: GraphQLSchema;
  readonly #introspection: boolean;
  readonly #rules: ValidationRule[];
  readonly #kept = new KeptBySize<string, DocumentNode>(keptCharactersMax);

  constructor({ schema, introspection }: DocumentsOptions) {
    this.#schema = schema;
    this.#introspection = introspection;
    const ofLanguage = specifiedRules.map((rule) =>
      rule === OverlappingFieldsCanBeMergedRule ? mergeableFields : rule,
    );
    const hidden = introspection ? [] : [NoSchemaIntrospectionCustomRule];
    this.#rules = [...ofLanguage, ...hidden, ...validationRules(schema)];
  }

  get keptCount(): number {
    return this.#kept.count;
  }

  /** A kept document. */
  find(text: string): DocumentNode | undefined {
    return this.#kept.get(text);
  }

  keep(text: string, document: DocumentNode): void {
    if (text.length <= documentCharactersMax) this.#kept.set(text, document, text.length);
  }

  /** @throws BAD_USER_INPUT, or the error of a text that does not parse */
  parse(text: string, bounds: CallerBounds = limits): DocumentNode {
    checkText(text, bounds);
    // Locations take more than half of the memory of a parsed document, and no answer contains them.
    const document = parse(text, { noLocation: true });
    checkDocumentSize(document, bounds);
    checkLiterals(document);
    return document;
  }

  validate(document: DocumentNode): readonly GraphQLError[] {
    const options = { hideSuggestions: !this.#introspection, maxErrors: errorsMax };
    return validate(this.#schema, document, this.#rules, options);
  }

  /** Whether each root field is public and has a rate limit of its own, as `login` has. */
  isLimitedByField({ definitions }: DocumentNode): boolean {
    return definitions.every(
      (definition) =>
        definition.kind === Kind.OPERATION_DEFINITION &&
        definition.selectionSet.selections.every((node) => {
          const fields = this.#schema.getRootType(definition.operation)?.getFields();
          const field = node.kind === Kind.FIELD ? fields?.[node.name.value] : undefined;
          const directives = field?.astNode?.directives?.map(({ name }) => name.value) ?? [];
          return directives.includes("rateLimit") && !guards.some((guard) => directives.includes(guard));
        }),
    );
  }
}

const guards = ["role", "scope", "authenticated"];
