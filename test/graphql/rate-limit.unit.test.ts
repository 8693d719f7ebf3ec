import { buildSchema } from "graphql";
import { describe, expect, it } from "vitest";
import { fieldLimit } from "../../src/graphql/directives/rate-limit.ts";

const schema = buildSchema(`
  directive @rateLimit(limit: Int!, duration: Int!) on FIELD_DEFINITION
  type Query { free: Int }
  type Mutation { limited: Int @rateLimit(limit: 3, duration: 10) }
`);

describe("the limit of a field", () => {
  it("is the one that its directive declares", () => {
    expect(fieldLimit(schema, "Mutation", "limited")).toEqual({
      field: "Mutation.limited",
      limit: 3,
      durationSeconds: 10,
    });
  });

  it.each([
    ["Query", "free"],
    ["Query", "absent"],
    ["Subscription", "limited"],
  ] as const)("is a fault of the server where none is declared: %s.%s", (type, name) => {
    expect(() => fieldLimit(schema, type, name)).toThrow(expect.objectContaining({ code: "INTERNAL" }));
  });
});
