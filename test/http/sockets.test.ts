import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { createClient as createSseClient } from "graphql-sse";
import { describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { someAddress, useServer } from "../harness/server.ts";

/** Sockets of clients that do not keep to the protocol, and how many of them there may be. */
const server = useServer({ TRUST_PROXY: "loopback", STREAMS_PER_CALLER_MAX: "3" });

interface RawSocket {
  socket: Socket;
  /** The code of the close frame that the server sent, when the server has ended the connection. */
  cut: Promise<number | undefined>;
}

/** A connection that was upgraded, whose client answers nothing: no ping, no goodbye and no end of the connection. */
async function openRaw(ip: string, path = "/graphql", headers: string[] = []): Promise<RawSocket> {
  const { hostname, port } = new URL(server.url);
  const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true });
  const parts: Buffer[] = [];
  socket.on("data", (part: Buffer) => parts.push(part));
  socket.on("error", () => {});
  const cut = new Promise<number | undefined>((resolve) => {
    // Whether the other half is gone is seen by writing to it.
    const look = setInterval(() => socket.write(Buffer.from([0x8a, 0x80, 0, 0, 0, 0])), 50);
    socket.once("close", () => {
      clearInterval(look);
      resolve(closeCodeIn(Buffer.concat(parts)));
    });
  });
  const head = [
    `GET ${path} HTTP/1.1`,
    "host: x",
    "connection: upgrade",
    "upgrade: websocket",
    "sec-websocket-version: 13",
    "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
    "sec-websocket-protocol: graphql-transport-ws",
    `x-forwarded-for: ${ip}`,
    ...headers,
  ];
  socket.write(`${head.join("\r\n")}\r\n\r\n`);
  await once(socket, "data");
  return { socket, cut };
}

function closeCodeIn(received: Buffer): number | undefined {
  const frames = received.subarray(received.indexOf("\r\n\r\n") + 4);
  return frames[0] === 0x88 ? frames.readUInt16BE(2) : undefined;
}

function frame(text: string): Buffer {
  const payload = Buffer.from(text);
  return Buffer.concat([Buffer.from([0x81, 0x80 | payload.length, 0, 0, 0, 0]), payload]);
}

describe("a socket whose client ignores its goodbye is cut off", () => {
  it("when it never says who it is", async () => {
    expect(await (await openRaw(someAddress())).cut).toBe(4408);
  });

  it("when it says that it is nobody, and when it floods", async () => {
    const nobody = await openRaw(someAddress());
    nobody.socket.write(frame('{"type":"connection_init"}'));
    const flood = await openRaw(someAddress());
    for (let i = 0; i < 300; i++) flood.socket.write(frame('{"type":"ping"}'));
    expect(await nobody.cut).toBe(4401);
    await flood.cut;
  });

  it("also where nothing was upgraded", async () => {
    expect(await (await openRaw(someAddress(), "/elsewhere")).cut).toBeUndefined();
    expect(await (await openRaw(someAddress(), "/graphql?query=%7Bme%7D", ["upgrade: x"])).cut).toBeUndefined();
  });
});

describe("sockets that have not said who they are", () => {
  it("are a hundred at the most from one address, and one that is told so counts until it is gone", async () => {
    const ip = someAddress();
    const first = await Promise.all(Array.from({ length: 100 }, () => openRaw(ip)));
    const more = await openRaw(ip);
    const elsewhere = await openRaw(someAddress());
    expect(await more.cut).toBe(4429);
    expect(new Set(await Promise.all([...first, elsewhere].map(({ cut }) => cut)))).toEqual(new Set([4408]));
    const again = await openRaw(ip);
    expect(await again.cut).toBe(4408);
  });

  it("are not counted once they have", async () => {
    const ip = someAddress();
    const { key } = await server.customer();
    const open = Array.from({ length: 101 }, async () => {
      const socket = new WebSocket(`${server.url.replace("http", "ws")}/graphql`, "graphql-transport-ws", {
        headers: { "x-api-key": key, "x-forwarded-for": ip },
      });
      await once(socket, "open");
      socket.send('{"type":"connection_init"}');
      const [message] = await once(socket, "message");
      return { socket, type: JSON.parse(String(message)).type };
    });
    for (const each of open) expect((await each).type).toBe("connection_ack");
    for (const each of open) (await each).socket.close();
  });
});

describe("streams of one caller", () => {
  const feed = "subscription { generationFeed { id } }";

  /** Resolves with the code of a refusal, or when the client leaves. */
  function listen(key: string) {
    const client = createSseClient({ url: `${server.url}/graphql/stream`, headers: { "x-api-key": key } });
    let leave = () => {};
    const ended = new Promise<unknown>((resolve) => {
      leave = client.subscribe(
        { query: feed },
        {
          next: ({ errors }) => resolve(errors?.[0]?.extensions?.["code"]),
          error: () => resolve("left"),
          complete: () => resolve("left"),
        },
      );
    });
    return { ended, leave };
  }

  it("are as many as the setting says, over all endpoints, and one that ends makes room", async () => {
    const { key } = await server.customer();
    const { key: other } = await server.customer();
    const running = Array.from({ length: 4 }, () => listen(key));
    // Which of them is one too many is not said.
    expect(await Promise.race(running.map(({ ended }) => ended))).toBe("RATE_LIMITED");
    const body = JSON.stringify({ model: "echo", stream: true, messages: [{ role: "user", content: "x" }] });
    const chat = async (as: string) => {
      const response = await fetch(`${server.url}/v1/chat/completions`, {
        method: "POST",
        headers: { "content-type": "application/json", authorization: `Bearer ${as}` },
        body,
      });
      return { status: response.status, retryAfter: response.headers.get("retry-after"), text: await response.text() };
    };
    expect(await chat(key)).toMatchObject({ status: 429, retryAfter: "1" });
    expect((await chat(other)).status).toBe(200);
    for (const { leave } of running) leave();
    await expect.poll(async () => (await chat(key)).status).toBe(200);
    for (let i = 0; i < 10; i++) expect((await chat(key)).text).toContain("[DONE]");
  });
});
