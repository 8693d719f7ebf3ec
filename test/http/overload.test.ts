import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { AppError } from "../../src/errors.ts";
import { toPublicFault } from "../../src/http/format-error.ts";
import { useServer } from "../harness/server.ts";

const server = useServer({ BYTES_IN_FLIGHT_MAX: "1048576" });

/** More than a request that is too small to count. */
const padding = " ".repeat(20_000);
const inGraphql = {
  errors: [expect.objectContaining({ extensions: expect.objectContaining({ code: "UNAVAILABLE", retryable: true }) })],
};
const inOpenAi = { error: expect.objectContaining({ type: "server_error", code: "unavailable" }) };

let key = "";
let holder: Socket;
/** A request that has said that it is as large as all that may be in flight, and whose body does not come. */
beforeAll(async () => {
  key = (await server.customer()).key;
  const { port, host } = new URL(server.url);
  holder = connect(Number(port), "127.0.0.1");
  const head = ["POST /graphql HTTP/1.1", `host: ${host}`, `x-api-key: ${key}`, "content-type: application/json"];
  holder.write(`${[...head, "content-length: 1048576", "expect: 100-continue"].join("\r\n")}\r\n\r\n`);
  // The server reads the request as it says this.
  await once(holder, "data");
  await vi.waitFor(async () => expect((await send("/graphql")).status).toBe(503), { timeout: 10_000 });
});
afterAll(() => holder?.destroy());

function send(path: string): Promise<Response> {
  const headers = { "content-type": "application/json", authorization: `Bearer ${key}` };
  return fetch(`${server.url}${path}`, { method: "POST", headers, body: `{"query":"{ me { kind } }"${padding}}` });
}

describe("a server that holds as many large requests as it can", () => {
  it.each([
    ["/graphql", inGraphql],
    ["/graphql/stream", inGraphql],
    ["/generate", inGraphql],
    ["/token", inGraphql],
    ["/v1/chat/completions", inOpenAi],
    ["/v1/embeddings", inOpenAi],
  ])("answers POST %s with 503, Retry-After and UNAVAILABLE in the words of that endpoint", async (path, shape) => {
    const response = await send(path);
    expect([response.status, response.headers.get("retry-after")]).toEqual([503, "1"]);
    expect(await response.json()).toEqual(shape);
  });
});

describe("every UNAVAILABLE", () => {
  it("says when to retry, with its own time if it has one", () => {
    expect(toPublicFault(new AppError("UNAVAILABLE")).details).toEqual({ retryAfter: 1 });
    expect(toPublicFault(new AppError("UNAVAILABLE", { details: { retryAfter: 30 } })).details).toEqual({
      retryAfter: 30,
    });
    expect(toPublicFault(new AppError("NOT_FOUND")).details).toEqual({});
  });
});
