import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { describe, expect, it } from "vitest";
import { rootFields } from "./harness/schema-calls.ts";
import { findHardWords } from "./plain-english.ts";

/** What holds for the pages that people read: their links, their length, and what they must name. */
const root = join(import.meta.dirname, "..");
const readText = (page: string) => readFileSync(join(root, page), "utf8");
const pagesIn = (folder: string) =>
  readdirSync(join(root, folder))
    .filter((name) => name.endsWith(".md"))
    .map((name) => join(folder, name));

const written = [
  "README.md",
  "ARCHITECTURE.md",
  "CONTRIBUTING.md",
  ...pagesIn("docs/guides"),
  ...pagesIn("docs/reference"),
];
const linked = [...written, ...pagesIn("docs/decisions"), "bench/README.md"];
const readme = readText("README.md");

/** As GitHub makes it of a heading. */
const anchorOf = (heading: string) =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, "")
    .replaceAll(" ", "-");

function isBroken(page: string, link: string): boolean {
  const [path = "", anchor] = link.split("#");
  const target = path === "" ? page : relative(root, join(root, dirname(page), path));
  if (!existsSync(join(root, target))) return true;
  if (anchor === undefined) return false;
  const headings = [...readText(target).matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) => anchorOf(heading));
  return !headings.includes(anchor);
}

describe("pages", () => {
  it("link only to files and headings that are there", () => {
    const links = linked.flatMap((page) =>
      [...readText(page).matchAll(/\]\((?!https?:)([^)]+)\)/g)].map(([, link = ""]) => ({ page, link })),
    );
    expect(links.length).toBeGreaterThan(50);
    expect(links.filter(({ page, link }) => isBroken(page, link))).toEqual([]);
  });

  it("use plain words", () => {
    const found = [...written, ...pagesIn("docs/decisions"), ".env.example"].flatMap((page) =>
      findHardWords(readText(page)).map(({ line, word, instead }) => `${page}:${line} "${word}": ${instead}`),
    );
    expect(found).toEqual([]);
  });
});

describe("docs/reference/operations.md", () => {
  it("names every operation of the schema, and nothing that is none", () => {
    const page = readText("docs/reference/operations.md");
    const operations = rootFields.map(({ field }) => field.name);
    expect(operations.filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
    const cells = [...page.matchAll(/^\| [^|]+ \| ([^|]+) \|/gm)].map(([, cell = ""]) => cell);
    const named = cells.flatMap((cell) => [...cell.matchAll(/`([a-z]\w+)`/g)].map(([, name = ""]) => name));
    expect(named.filter((name) => name !== "bi" && !operations.includes(name))).toEqual([]);
  });
});

/** Whether a text has the number as it stands, and not as a part of a longer one. */
const hasNumber = (text: string, number: string) =>
  new RegExp(`(?<![\\d.,])${number.replaceAll(".", "\\.")}(?![.,]?\\d)`).test(text);

describe("the README", () => {
  it("fits on a few screens, each feature on one line", () => {
    expect(readme.split("\n").length - 1).toBeLessThanOrEqual(150);
    const [, features = ""] = /^## Features\n(.*?)^## /ms.exec(readme) ?? [];
    const lines = features.split("\n").filter((line) => line.startsWith("- "));
    expect(lines.length).toBeGreaterThanOrEqual(10);
    expect(lines.filter((line) => line.length > 120 || !line.includes("]("))).toEqual([]);
  });

  it("claims no figure that its source does not have", () => {
    const [, reasons = ""] = /^## Six reasons\n(.*?)^## /ms.exec(readme) ?? [];
    const rows = reasons.split("\n").filter((line) => /^\| (?!Reason)[A-Z]/.test(line));
    expect(rows).toHaveLength(6);
    for (const row of rows) {
      const [, figures = "", source = ""] = row.slice(2, -2).split(" | ");
      const files = [...source.matchAll(/\]\(([^)]+)\)/g)].map(([, path = ""]) => path);
      if (/`npm run bench \w+`/.test(source)) files.push("bench/README.md");
      const text = files.map(readText).join("\n");
      const missing = (figures.match(/\d+([.,]\d+)*/g) ?? []).filter((number) => !hasNumber(text, number));
      expect({ row, missing }).toEqual({ row, missing: [] });
    }
  });
});
