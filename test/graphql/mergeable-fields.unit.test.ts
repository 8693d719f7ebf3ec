import fc from "fast-check";
import { buildSchema, OverlappingFieldsCanBeMergedRule, parse, specifiedRules, validate } from "graphql";
import { describe, expect, it } from "vitest";
import { mergeableFields } from "../../src/graphql/mergeable-fields.ts";

const schema = buildSchema(`
  type Query { pet: Pet  named: Named  cat(id: Int, at: At): Cat  dogs: [Dog!]!  any: Any  text(id: Int): String }
  input At { x: Int  y: [Int!] }
  interface Named { name(short: Boolean): String!  friend: Named  pet: Pet }
  type Cat implements Named { name(short: Boolean): String!  friend: Named  pet: Pet  lives: Int  food: String  inner: Inner }
  type Dog implements Named { name(short: Boolean): String!  friend: Named  pet: Pet  barks: Boolean!  food: [String]  inner: Inner }
  type Inner { one: Int!  two: String  inner: Inner }
  union Pet = Cat | Dog
  union Any = Cat | Dog | Inner
`);
const others = specifiedRules.filter((rule) => rule !== OverlappingFieldsCanBeMergedRule);

/** Whether a document is valid by the rule of graphql-js, and by the one that stands in for it. */
function verdicts(text: string): { theirs: boolean; ours: boolean } {
  const document = parse(text);
  const isValid = (rule: typeof mergeableFields) => validate(schema, document, [rule]).length === 0;
  return { theirs: isValid(OverlappingFieldsCanBeMergedRule), ours: isValid(mergeableFields) };
}

const args = ["", "(id: 1)", "(id: 2)", "(at: { x: 1, y: [2] })", "(at: { y: [2], x: 1 })", "(at: { x: 1, y: [3] })"];
/** Fields by type, with the type that each leads to. */
const fields: Record<string, [string, string?][]> = {
  Query: [
    ...args.map((each): [string, string] => [`cat${each}`, "Cat"]),
    ["text"],
    ["text(id: 1)"],
    ["pet", "Pet"],
    ["named", "Named"],
    ["dogs", "Dog"],
    ["any", "Any"],
  ],
  Named: [["name"], ["name(short: true)"], ["friend", "Named"], ["pet", "Pet"]],
  Cat: [["name"], ["name(short: true)"], ["friend", "Named"], ["lives"], ["food"], ["inner", "Inner"]],
  Dog: [["name"], ["name(short: true)"], ["friend", "Named"], ["barks"], ["food"], ["inner", "Inner"]],
  Inner: [["one"], ["two"], ["inner", "Inner"]],
  Pet: [["__typename"]],
  Any: [["__typename"]],
};
const narrower: Record<string, string[]> = {
  Query: ["Query"],
  Named: ["Named", "Cat", "Dog", "Pet"],
  Cat: ["Cat", "Named"],
  Dog: ["Dog", "Pet"],
  Inner: ["Inner", "Any"],
  Pet: ["Cat", "Dog", "Named", "Pet"],
  Any: ["Cat", "Dog", "Inner"],
};

/** Choices out of which a document is made, each taken when the next question comes. */
function documentOf(choices: number[]): string {
  let at = 0;
  const choose = (count: number) => (choices[at++ % choices.length] ?? 0) % count;
  const selection = (type: string, depth: number): string => {
    const parts: string[] = [];
    for (let i = choose(3) + 1; i > 0; i--) {
      const how = choose(6);
      if (how === 0 && depth > 0) parts.push(`... on ${on(type)} { ${selection(lastOn, depth - 1)} }`);
      else if (how === 1 && fragmentsOn(type).length > 0) parts.push(`...${fragmentsOn(type)[choose(2)] ?? "NamedA"}`);
      else parts.push(field(type, depth));
    }
    return parts.join(" ");
  };
  let lastOn = "";
  const on = (type: string) => {
    const types = narrower[type] ?? [type];
    lastOn = types[choose(types.length)] ?? type;
    return lastOn;
  };
  const field = (type: string, depth: number): string => {
    const possible = (fields[type] ?? []).filter(([, inner]) => !inner || depth > 0);
    const [name, inner] = possible[choose(possible.length)] ?? ["__typename"];
    const alias = choose(9) === 0 ? `${["a", "name", "food"][choose(3)]}: ` : "";
    return `${alias}${name}${inner ? ` { ${selection(inner, depth - 1)} }` : ""}`;
  };
  const fragmentsOn = (type: string) => (["Named", "Cat", "Dog", "Pet"].includes(type) ? ["NamedA", "CatB"] : []);
  const name = () => ["name", "name", "name", "x: name", "name(short: true)"][choose(5)];
  return `{ ${selection("Query", 4)} all: named { ...NamedA ... on Cat { ...CatB } } }
    fragment NamedA on Named { ${name()} friend { ${name()} } } fragment CatB on Cat { lives ${name()} }`;
}

describe("fields that are selected twice", () => {
  it.each([
    "{ cat { name } cat { name lives } }",
    "{ cat(at: { x: 1, y: [2] }) { name } cat(at: { y: [2], x: 1 }) { lives } }",
    "{ pet { ... on Cat { food } ... on Dog { bark: barks } } }",
    "{ pet { ... on Cat { a: lives } ... on Dog { a: lives } } }",
    "{ pet { ... on Cat { name } ... on Dog { name(short: true) } } }",
    "{ pet { ... on Cat { inner { x: one } } ... on Dog { inner { x: one } } } }",
    "{ text text } ",
    "{ ...A ...A } fragment A on Query { text }",
  ])("are one where they can be: %s", (text) => {
    const { theirs, ours } = verdicts(text);
    expect(ours).toBe(theirs);
  });

  it.each([
    "{ cat { name } cat(id: 1) { name } }",
    "{ x: cat { name } x: text }",
    "{ cat { x: name } cat { x: lives } }",
    "{ pet { ... on Cat { food } ... on Dog { food } } }",
    "{ pet { ... on Cat { inner { x: one } } ... on Dog { inner { x: two } } } }",
    "{ named { name ... on Dog { name(short: true) } } }",
    "{ ...A ...B } fragment A on Query { x: text } fragment B on Query { x: text(id: 1) }",
    "{ cat { ...A } cat { ...B } } fragment A on Cat { x: lives } fragment B on Cat { x: name }",
  ])("are refused where they cannot: %s", (text) => {
    expect(verdicts(text)).toEqual({ theirs: false, ours: false });
  });

  it("are judged as graphql-js judges them, in 500 documents of which some are valid and some not", () => {
    const seen = { valid: 0, refused: 0 };
    fc.assert(
      fc.property(fc.array(fc.nat(97), { minLength: 20, maxLength: 120 }), (choices) => {
        const text = documentOf(choices);
        fc.pre(validate(schema, parse(text), others).length === 0);
        const { theirs, ours } = verdicts(text);
        if (theirs) seen.valid += 1;
        else seen.refused += 1;
        expect(ours, text).toBe(theirs);
      }),
      { numRuns: 500, endOnFailure: true },
    );
    expect(seen.valid).toBeGreaterThan(50);
    expect(seen.refused).toBeGreaterThan(50);
  });

  it("are refused in a document that goes through too many unions within each other", () => {
    const level = (inside: string) =>
      `friend { ${inside} ... on Cat { friend { ${inside} } } ... on Dog { friend { ${inside} } } }`;
    let inside = "name";
    for (let i = 0; i < 8; i++) inside = level(inside);
    expect(() => validate(schema, parse(`{ named { ${inside} } }`), [mergeableFields])).toThrow("too many fragments");
  });
});
