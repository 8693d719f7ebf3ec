import type { GraphQLObjectType } from "graphql";
import { describe, expect, it } from "vitest";
import { declared, type Field, publicFields, rootFields, schema } from "./harness/schema-calls.ts";

describe("the schema says of permissions that", () => {
  it("every root field names who may call it, or is public on purpose", () => {
    const open = rootFields.filter(({ field }) =>
      ["role", "scope", "authenticated"].every((name) => declared(field, name) === undefined),
    );
    expect(open.map(({ field }) => field.name).sort()).toEqual(publicFields);
  });

  it("every public field is limited by address", () => {
    for (const name of publicFields) {
      const field = (schema.getMutationType() as GraphQLObjectType).getFields()[name] as Field;
      expect(Number(declared(field, "rateLimit", "limit"))).toBeLessThanOrEqual(60);
    }
  });

  it("every paid field needs a scope and has a limit", () => {
    const paid = rootFields.filter(({ field }) => declared(field, "cost") !== undefined);
    expect(paid.map(({ field }) => field.name)).toContain("generate");
    for (const { field } of paid)
      expect([declared(field, "scope"), declared(field, "rateLimit", "limit")]).not.toContain(undefined);
  });

  it("roles are names that exist", () => {
    for (const { field } of rootFields) {
      const role = declared(field, "role");
      if (role !== undefined) expect(["MEMBER", "ANALYST", "OPERATOR", "ADMIN", "OWNER"]).toContain(role);
    }
  });
});
