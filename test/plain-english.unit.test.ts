import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { catalogue } from "../src/errors.ts";
import { type Finding, findHardWords, findHardWordsInStrings, unreleased } from "./plain-english.ts";

const root = join(import.meta.dirname, "..");
const read = (path: string) => readFileSync(join(root, path), "utf8");
const filesIn = (folder: string, ending: string) =>
  readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(ending))
    .map((path) => `${folder}/${path}`);
const report = (path: string, findings: Finding[]) =>
  findings.map(({ line, word, instead }) => `${path}:${line} "${word}": ${instead}`);

describe("plain English", () => {
  it("in the schema", () => {
    expect(report("schema/schema.graphql", findHardWords(read("schema/schema.graphql")))).toEqual([]);
  });

  it("in the error catalogue", () => {
    const messages = Object.values(catalogue).map(({ message }) => message);
    expect(messages.length).toBeGreaterThan(20);
    expect(report("src/errors.ts", findHardWords(messages.join("\n")))).toEqual([]);
  });

  it("in the messages, descriptions and help texts of the source", () => {
    const files = filesIn("src", ".ts");
    expect(files.length).toBeGreaterThan(200);
    expect(files.flatMap((path) => report(path, findHardWordsInStrings(read(path))))).toEqual([]);
  });

  it("in what the changelog says of the next release", () => {
    const text = unreleased(read("CHANGELOG.md"));
    expect(text).toContain("### ");
    expect(report("CHANGELOG.md, unreleased", findHardWords(text))).toEqual([]);
  });
});

describe("the check finds", () => {
  it.each([
    ["Whoever tries out keys is told to wait.", "whoever"],
    ["A model that was asked in vain.", "in vain"],
    ["A model that was asked in\n  vain.", "in vain"],
    ["It has failed too often of late.", "of late"],
    ["Nobody disables themselves.", "nobody"],
    ["What somebody should look at, newest first.", "what somebody"],
    ["The sums are made anew.", "anew"],
    ["It is found by itself.", "by itself"],
    ["Credits that come by themselves.", "by themselves"],
    ["A stream that was broken off, by whomever", "whomever"],
  ])("%s", (text, word) => {
    expect(findHardWords(`First line.\n${text}`)).toMatchObject([{ line: 2, word }]);
  });

  it.each([
    ["an error message", 'throw badInput("Nobody may do this.");'],
    ["a template", "throw new AppError(code, { message: `$" + "{name} is made anew.` });"],
    ["a part of a template", "const message = `$" + "{name} was asked in vain by $" + "{caller}.`;"],
    ["a help text", '.description("for whoever asks")'],
  ])("a word in %s of the source", (_what, line) => {
    expect(findHardWordsInStrings(`// A comment.\n${line}`)).toMatchObject([{ line: 2 }]);
  });

  it.each([
    ["part of a word", "Bydgoszcz is whoevery."],
    ["a comment", "// Nobody reads this.\nconst one = 1;"],
    ["a name", "const nobody = 65534;"],
  ])("nothing in %s of the source", (_what, text) => {
    expect(findHardWordsInStrings(text)).toEqual([]);
  });
});
