import { WebSocket } from "ws";

export interface Ending {
  over: "WS" | "SSE";
  /** By this machine's clock. */
  atMs: number;
  code: string;
}

const subscription = "subscription { generationFeed { id } }";

/** Opens a socket and an event stream that would go on for ever; resolves with the end of each. */
export function untilEnded(url: string, token: string): Promise<Ending[]> {
  return Promise.all([overSocket(url, token), overEvents(url, token)]);
}

function overSocket(url: string, token: string): Promise<Ending> {
  const socket = new WebSocket(`${url.replace("http", "ws")}/graphql`, "graphql-transport-ws");
  return new Promise((resolve, reject) => {
    socket.on("error", reject);
    socket.on("open", () =>
      socket.send(JSON.stringify({ type: "connection_init", payload: { authorization: `Bearer ${token}` } })),
    );
    socket.once("message", () =>
      socket.send(JSON.stringify({ id: "1", type: "subscribe", payload: { query: subscription } })),
    );
    socket.on("close", (code, reason) => resolve({ over: "WS", atMs: Date.now(), code: `${code} ${reason}` }));
  });
}

async function overEvents(url: string, token: string): Promise<Ending> {
  const response = await fetch(`${url}/graphql/stream`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
    body: JSON.stringify({ query: subscription }),
  });
  const text = await response.text();
  return { over: "SSE", atMs: Date.now(), code: /"code":"(\w+)"/.exec(text)?.[1] ?? text };
}
