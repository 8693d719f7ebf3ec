import ts from "typescript";

/**
 * Words that make public text hard to read, with the words to use in their place. Pure functions: text in, findings
 * out.
 */
const words: Record<string, string> = {
  whoever: "name the actor: the caller, the user, an attacker",
  whomever: "name the actor: the caller, the user, the provider",
  nobody: "no user, no caller, or a sentence with must not",
  "what somebody": "name the thing",
  anew: "again",
  "in vain": "without success",
  "of late": "recently, or a number",
  "by itself": "automatically",
  "by themselves": "automatically",
};

export interface Finding {
  line: number;
  word: string;
  instead: string;
}

const pattern = new RegExp(`\\b(${Object.keys(words).join("|").replaceAll(" ", "\\s+")})\\b`, "gi");

export function findHardWords(text: string): Finding[] {
  return [...text.matchAll(pattern)].map(({ 0: match, index }) => {
    const word = match.toLowerCase().replace(/\s+/g, " ");
    return { line: text.slice(0, index).split("\n").length, word, instead: words[word] ?? "" };
  });
}

/** The same in the string literals of a source file: error messages, descriptions and help texts, but no comments. */
export function findHardWordsInStrings(source: string): Finding[] {
  const file = ts.createSourceFile("source.ts", source, ts.ScriptTarget.Latest);
  const found: Finding[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isStringLiteralLike(node) || ts.isTemplateHead(node) || ts.isTemplateMiddleOrTemplateTail(node)) {
      const start = file.getLineAndCharacterOfPosition(node.getStart(file)).line;
      found.push(...findHardWords(node.text).map((finding) => ({ ...finding, line: finding.line + start })));
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return found;
}

/** The part of a changelog that is not released yet. */
export function unreleased(changelog: string): string {
  const [, rest = ""] = changelog.split(/^## \[Unreleased\]$/m);
  return rest.split(/^## /m)[0] ?? "";
}
