import { describe, expect, it } from "vitest";
import { useServer } from "../harness/server.ts";

const server = useServer();

const json = { "content-type": "application/json" };

describe("security headers", () => {
  it.each([
    ["POST /token, which answers tokens", "/token", { method: "POST", headers: json, body: "{}" }],
    [
      "POST /graphql",
      "/graphql",
      { method: "POST", headers: json, body: JSON.stringify({ query: "{ me { kind } }" }) },
    ],
    ["POST /generate", "/generate", { method: "POST", headers: json, body: "{}" }],
    ["an address that is not there", "/nothing", {}],
    ["GET /healthz", "/healthz", {}],
  ])("are on %s", async (_name, path, init) => {
    const { headers } = await fetch(`${server.url}${path}`, init);
    expect(Object.fromEntries(headers)).toMatchObject({
      "cache-control": expect.stringContaining("no-store"),
      "content-security-policy": "default-src 'none';frame-ancestors 'none';base-uri 'none';form-action 'none'",
      "referrer-policy": "no-referrer",
      "x-content-type-options": "nosniff",
      "x-frame-options": "DENY",
    });
    expect(headers.has("strict-transport-security")).toBe(false);
  });

  it("let the keys that verify tokens be cached", async () => {
    const { headers } = await fetch(`${server.url}/.well-known/jwks.json`);
    expect(headers.get("cache-control")).toContain("max-age");
  });

  it("let Sandbox run its scripts, in no frame", async () => {
    const response = await fetch(`${server.url}/graphql`, { headers: { accept: "text/html" } });
    expect(response.headers.get("content-security-policy")).toBe(
      "object-src 'none';frame-ancestors 'none';base-uri 'none';form-action 'self'",
    );
    expect(await response.text()).toMatch(/http-equiv="Content-Security-Policy" content="script-src 'self' 'nonce-/);
  });

  it("ask for https only where a trusted proxy says that the client used it", async () => {
    const { headers } = await fetch(`${server.url}/healthz`, { headers: { "x-forwarded-proto": "https" } });
    expect(headers.get("strict-transport-security")).toBe("max-age=31536000");
  });
});
