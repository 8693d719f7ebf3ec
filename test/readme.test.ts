import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { serverSecret } from "./harness/first-start.ts";
import { TestServer } from "./harness/server.ts";
import { startOllamaStandin } from "./standins/ollama.ts";
import { type Standin, startOpenAiStandin } from "./standins/openai.ts";

/**
 * The blocks of the README, run in their order as a visitor would paste them. Only addresses, the key and the names of
 * models are replaced: stand-ins answer in the place of Ollama and of a service in the cloud.
 */
const root = join(import.meta.dirname, "..");
const readme = readFileSync(join(root, "README.md"), "utf8");

interface Block {
  language: string;
  code: string;
  /** The JSON that the README shows as the block's answer, if any. */
  shown: string | undefined;
}

const blocks: Block[] = [...readme.matchAll(/^```(sh|ts)\n(.*?)^```\n(?:\n```json\n(.*?)^```\n)?/gms)]
  .map(([, language = "", code = "", shown]) => ({ language, code, shown }))
  // Clones, installs and listens: test/faults/process.test.ts starts a server as this block does.
  .filter(({ code }) => !code.startsWith("npm ci"));

function blockWith(text: string): Block {
  const found = blocks.filter(({ code }) => code.includes(text));
  expect(found, `one block with ${text}`).toHaveLength(1);
  return found[0] as Block;
}

let ollama: Standin;
let service: Standin;
let server: TestServer;
let key = "";
/** Read by the server and by the command line. */
let standinHosts: Record<string, string>;
const script = join(root, "dist", `readme-${randomUUID()}.mts`);
const ran = new Set<Block>();

beforeAll(async () => {
  [ollama, service] = await Promise.all([startOllamaStandin(), startOpenAiStandin()]);
  standinHosts = { OLLAMA_BASE_URL: ollama.url, PRIVATE_SERVICE_HOSTS: new URL(service.url).host };
  server = new TestServer(standinHosts);
  await server.start();
  ({ key } = await server.customer({ credits: "100" }));
  await mkdir(join(root, "dist"), { recursive: true });
});

afterAll(async () => {
  await rm(script, { force: true });
  await server?.stop();
  await Promise.all([ollama?.close(), service?.close()]);
});

const replaced = (code: string) =>
  code
    .replaceAll("http://127.0.0.1:4000", server.url)
    .replaceAll("tg_test_…", key)
    .replaceAll("https://api.deepseek.com/v1", service.url)
    .replaceAll("llama3.2:1b", "ok")
    .replaceAll("deepseek-chat", "json");

async function run(block: Block): Promise<string> {
  ran.add(block);
  const code = replaced(block.code);
  const env = {
    ...{ PATH: process.env["PATH"], HOME: process.env["HOME"], npm_config_update_notifier: "false" },
    ...{ KEY: key, DEEPSEEK_API_KEY: "sk-of-the-stand-in" },
    ...{ NODE_ENV: "test", DATABASE_URL: server.database.url, SERVER_SECRET: serverSecret, ...standinHosts },
  };
  if (block.language === "ts") await writeFile(script, code);
  const [program, ...args] =
    block.language === "ts" ? [process.execPath, "--import", "tsx", script] : ["bash", "-eo", "pipefail", "-c", code];
  const { stdout } = await promisify(execFile)(program as string, args, { cwd: root, env });
  return stdout;
}

/** A command of the command line is a process of its own, which takes a busy machine seconds. */
const commandsTimeoutMs = 120_000;
const replyOf = (answer: string) => JSON.parse(answer.trim().split("\n").at(-1) ?? "").choices[0].message.content;

describe("the README's blocks, pasted in order", () => {
  it("make a first call that answers as it is shown", async () => {
    const block = blockWith("mutation { generate");
    expect(JSON.parse(await run(block))).toEqual(JSON.parse(block.shown ?? ""));
  });

  it("stream an answer and its charge", async () => {
    const events = await run(blockWith("generateStream"));
    expect(events).toContain('"text":"echo:');
    expect(events).toContain('"charge":{"credits":"1"}');
    expect(events).not.toContain("errors");
  });

  it("call by the openai package, in four lines", async () => {
    const block = blockWith('from "openai"');
    expect(block.code.trim().split("\n")).toHaveLength(4);
    expect(await run(block)).toBe("echo: Hello\n");
  });

  it("call a model of Ollama that nothing was set up for", async () => {
    expect(replyOf(await run(blockWith("llama3.2:1b")))).toBe("Hello from the stand-in");
    expect(ollama.calls.at(-1)?.path).toBe("/api/chat");
  });

  it("add a service, import its model with a price, and call it with the service's key", {
    timeout: commandsTimeoutMs,
  }, async () => {
    expect(replyOf(await run(blockWith("models import")))).toBe('{"city":"Bern"}');
    expect(service.calls.at(-1)?.headers.authorization).toBe("Bearer sk-of-the-stand-in");
  });

  it("report what all of that used", { timeout: commandsTimeoutMs }, async () => {
    const report = await run(blockWith("tollgate usage"));
    expect(report).toMatch(/^echo +3\b/m);
    expect(report).toMatch(/^ok +1\b/m);
    expect(report).toMatch(/^json +1\b/m);
  });

  it("are all run", () => {
    expect(blocks.filter((block) => !ran.has(block))).toEqual([]);
  });
});
