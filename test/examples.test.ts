import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { useServer } from "./harness/server.ts";

/**
 * The operations of the tour, run in the order of their names. `{{login.accessToken}}` stands for what an earlier one
 * answered, `{{printed.email}}` for what the first start prints.
 */
const folder = join(import.meta.dirname, "..", "docs", "examples");
const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).sort();
const operations = files.filter((file) => file.endsWith(".graphql"));

const server = useServer();
const read = new Set<string>();
// biome-ignore lint/suspicious/noExplicitAny: the answers to operations of every kind.
const answers: Record<string, any> = {};

function open(file: string): string | undefined {
  if (!files.includes(file)) return undefined;
  read.add(file);
  return readFileSync(join(folder, file), "utf8");
}

function fill(text: string): string {
  return text.replace(/\{\{([\w.]+)\}\}/g, (mark, path: string) => {
    const value: unknown = path.split(".").reduce((at, name) => at?.[name], answers);
    expect(value, `${mark} is not in an earlier answer`).toBeTypeOf("string");
    return value as string;
  });
}

beforeAll(async () => {
  const { email, password } = await server.person("OWNER");
  answers["printed"] = { email, password };
});

describe("docs/examples", () => {
  it.each(operations)("%s", async (file) => {
    const query = open(file) as string;
    const variables = open(file.replace(/\.graphql$/, ".json")) ?? "{}";
    const [, name = "", value = ""] = /^# Header: ([\w-]+): (.+)$/m.exec(query) ?? [];
    const response = await server.post(
      JSON.stringify({ query, variables: JSON.parse(fill(variables)) }),
      name === "" ? {} : { [name]: fill(value) },
    );
    const body = (await response.json()) as { data: object };
    expect(body, `${query}\n${JSON.stringify(body)}`).not.toHaveProperty("errors");
    expect(response.status).toBe(200);
    Object.assign(answers, body.data);
  });

  it("left the figures that the tour speaks of", () => {
    expect(answers["generate"].charge).toMatchObject({ credits: "1", balance: "24" });
    expect(answers["grantCredits"].balance).toBe("124.5");
    expect(answers["usage"].totals).toMatchObject({ requests: 1, credits: "1" });
    expect(answers["creditEntries"].nodes.map(({ kind }: { kind: string }) => kind)).toEqual([
      "GRANT",
      "CHARGE",
      "GRANT",
    ]);
    expect(answers["revokeApiKey"].status).toBe("REVOKED");
  });

  it("holds no file that was not run", () => {
    expect([...read].sort()).toEqual(files);
  });
});
