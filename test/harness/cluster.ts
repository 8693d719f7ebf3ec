import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import postgres from "postgres";
import type { TestProject } from "vitest/node";
import { startEmbedded } from "../../src/db/embedded/start.ts";
import { migrateDatabase } from "../../src/db/migrate.ts";
import { startFirst } from "./first-start.ts";
import { watchOver } from "./watchdog.ts";

/**
 * One PostgreSQL for the whole run: the embedded one, or the server that DATABASE_URL names. A template database is
 * migrated once, and a copy of it is what a first start leaves; each test file copies one of them.
 */
declare module "vitest" {
  interface ProvidedContext {
    adminUrl: string;
    template: string;
    startedTemplate: string;
    /** Of the owner in `startedTemplate`. */
    ownerRefreshToken: string;
  }
}

// biome-ignore lint/style/noDefaultExport: Vitest takes a global setup from the default export.
export default async function startCluster(project: TestProject): Promise<() => Promise<void>> {
  const { adminUrl, stop } = process.env["DATABASE_URL"]
    ? { adminUrl: process.env["DATABASE_URL"], stop: async () => {} }
    : await startTemporary();
  const template = `tollgate_template_${process.pid}`;
  const sql = postgres(adminUrl, { max: 1, onnotice: () => {} });
  await sql.unsafe(`create database ${template}`);
  await migrateDatabase(databaseUrl(adminUrl, template));
  project.provide("adminUrl", adminUrl);
  project.provide("template", template);
  const started = `${template}_started`;
  await sql.unsafe(`create database ${started} template ${template}`);
  project.provide("startedTemplate", started);
  project.provide("ownerRefreshToken", await startFirst(databaseUrl(adminUrl, started)));
  return async () => {
    for (const name of [started, template]) await sql.unsafe(`drop database ${name}`);
    await sql.end();
    await stop();
  };
}

async function startTemporary() {
  const dataDir = await mkdtemp(join(tmpdir(), "tollgate-test-"));
  const callOff = watchOver(dataDir);
  const settings = { fsync: "off", max_connections: "300" };
  const database = await startEmbedded({ dataDir, settings });
  const stop = async () => {
    await database.stop();
    await rm(dataDir, { recursive: true, force: true });
    callOff();
  };
  return { adminUrl: database.url, stop };
}

export function databaseUrl(adminUrl: string, name: string): string {
  const url = new URL(adminUrl);
  url.pathname = `/${name}`;
  return url.href;
}
