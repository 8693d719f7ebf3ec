import { stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { type Server, startPortkey, startScript, startTollgate } from "../servers.ts";
import type { Call } from "./load.ts";

/** A server under load, and the call that it gets. Tollgate is a target by each of its doors. */
export interface Target {
  name: string;
  server: Server;
  call: Call;
}

export interface Wanted {
  isWanted: (name: string) => boolean;
  /** Given to the process of this build. */
  nodeOptions: string[];
  /** Another checkout that is built, or the `main.js` of a build. */
  against: string | undefined;
}

const fox = "The quick brown fox";
const chat = JSON.stringify({ model: "stub", messages: [{ role: "user", content: "Say something about a fox." }] });
const generate = JSON.stringify({
  query: "mutation ($input: GenerateInput!) { generate(input: $input) { id status text charge { credits balance } } }",
  variables: { input: { model: "stub", prompt: "Say something about a fox." } },
});

/** Starts the servers of the wanted targets. Each is added to `running` at once, so that a failure leaves none behind. */
export async function startTargets({ isWanted, nodeOptions, against }: Wanted, running: Server[]): Promise<Target[]> {
  const started = async <S extends Server>(server: Promise<S>): Promise<S> => {
    running.push(await server);
    return server;
  };
  const doorsWanted = (build: string) => isWanted(`${build}Rest`) || isWanted(`${build}Graphql`);
  const stub = await started(startScript(new URL("stub.mjs", import.meta.url)));
  const targets: Target[] = [{ name: "stub", server: stub, call: chatCall(stub) }];
  if (isWanted("bareApollo")) {
    const bare = await started(startScript(new URL("bare.mjs", import.meta.url)));
    targets.push({ name: "bareApollo", server: bare, call: generateCall(bare) });
  }
  if (isWanted("portkey")) {
    const portkey = await started(startPortkey(stub.url));
    const through = { "x-portkey-provider": "openai", "x-portkey-custom-host": `${stub.url}/v1` };
    targets.push({ name: "portkey", server: portkey, call: chatCall(portkey, through) });
  }
  const doors: Target[] = [];
  if (doorsWanted("tollgate")) {
    doors.push(...doorsOf("tollgate", await started(startTollgate(stub.url, { nodeOptions }))));
  }
  if (against !== undefined && doorsWanted("other")) {
    const main = await mainOf(against);
    doors.push(...doorsOf("other", await started(startTollgate(stub.url, { main }))));
  }
  // By the same door, one build comes right after the other: that is what is compared.
  for (const door of ["Rest", "Graphql"]) targets.push(...doors.filter(({ name }) => name.endsWith(door)));
  return targets.filter(({ name }) => isWanted(name));
}

async function mainOf(build: string): Promise<string> {
  const path = resolve(build);
  return (await stat(path)).isDirectory() ? join(path, "dist", "main.js") : path;
}

function doorsOf(build: string, server: Server & { key: string }): Target[] {
  const bearer = { authorization: `Bearer ${server.key}` };
  return [
    { name: `${build}Rest`, server, call: chatCall(server, bearer) },
    { name: `${build}Graphql`, server, call: generateCall(server, bearer) },
  ];
}

function chatCall({ url }: Server, headers: Record<string, string> = {}): Call {
  return { url: `${url}/v1/chat/completions`, headers, body: chat, expected: fox };
}

function generateCall({ url }: Server, headers: Record<string, string> = {}): Call {
  return { url: `${url}/graphql`, headers, body: generate, expected: fox };
}
