import { Lexer, Source, TokenKind } from "graphql";
import { badInput } from "../errors.ts";
import { type CallerBounds, limits } from "./hardening.ts";

/**
 * Bounds the text of a document before it is parsed: its bytes, its tokens and comments, and how deep its brackets are
 * nested, because the parser needs stack for each level.
 * @throws BAD_USER_INPUT, or the error of a text that is not of the language
 */
export function checkText(text: string, { documentBytesMax: bytesMax, tokensMax }: CallerBounds): void {
  if (Buffer.byteLength(text) > bytesMax) {
    const message = `A document has at most ${bytesMax} bytes. Put long texts into variables.`;
    throw badInput(message, { limitBytes: bytesMax });
  }
  if (hasTooManyComments(text)) throw badInput("There are too many comments in the document.");
  const lexer = new Lexer(new Source(text));
  let depth = 0;
  for (let tokens = 1; ; tokens++) {
    const { kind } = lexer.advance();
    if (kind === TokenKind.EOF) return;
    if (tokens > tokensMax) throw badInput(`A document has at most ${tokensMax} tokens.`);
    if (opening.has(kind)) depth += 1;
    else if (closing.has(kind)) depth -= 1;
    if (depth > limits.nestingMax) throw badInput(`Brackets are nested at most ${limits.nestingMax} deep.`);
  }
}

const opening = new Set<string>([TokenKind.BRACE_L, TokenKind.BRACKET_L, TokenKind.PAREN_L]);
const closing = new Set<string>([TokenKind.BRACE_R, TokenKind.BRACKET_R, TokenKind.PAREN_R]);

/** The lexer does not count comments, but keeps each. A `#` in a string counts here as well. */
function hasTooManyComments(text: string): boolean {
  let count = 0;
  for (let at = text.indexOf("#"); at >= 0; at = text.indexOf("#", at + 1)) {
    count += 1;
    if (count > limits.tokensMax) return true;
  }
  return false;
}
