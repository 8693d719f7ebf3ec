/**
 * The embedded database as processes see it: killed, raced, orphaned, run as root and as nobody. Independent of the
 * cluster that the other tests share. Children run what a build makes of the same files, in a checkout of their own.
 */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { chmod, chown, mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { claimPlace } from "../../src/db/embedded/runtime.ts";
import { DataDirInUse, startEmbedded } from "../../src/db/embedded/start.ts";
import {
  cleanUp,
  commandLineOf,
  fast,
  isGone,
  killedServer,
  makeCheckout,
  makeRoot,
  modeOf,
  packagesNeeded,
  query,
  root,
  run,
  serversOf,
  stagingIn,
  start,
  until,
  withCluster,
} from "../harness/embedded-processes.ts";

const isRoot = process.getuid?.() === 0;
const nobody = 65534;
const sh = promisify(execFile);
let checkout: string;
let callOffWatchdog: () => void;

function itOnCluster(name: string, body: (dataDir: string) => Promise<void>): void {
  it(name, () => withCluster(body));
}

beforeAll(async () => {
  callOffWatchdog = await makeRoot();
  checkout = await makeCheckout("checkout");
});
afterAll(async () => {
  await cleanUp();
  callOffWatchdog();
});

describe.concurrent("startEmbedded works", () => {
  it("from nothing, with sound defaults, on 127.0.0.1 only", async () => {
    const dataDir = join(root, "nothing", "data");
    const database = await start({ dataDir, settings: {} });
    expect(database.url).toMatch(/^postgres:\/\/tollgate:[\w-]{43}@127\.0\.0\.1:\d+\/tollgate$/);
    const [row] = await query(
      database.url,
      `select current_user as role, rolsuper as super, current_setting('server_encoding') as encoding,
         (select datlocprovider::text || datlocale from pg_database where datname = current_database()) as locale,
         current_setting('data_checksums') as checksums, current_setting('fsync') as fsync,
         current_setting('listen_addresses') || current_setting('unix_socket_directories') as listens,
         left(rolpassword, 13) as password
       from pg_authid where rolname = current_user`,
    );
    const locale = { encoding: "UTF8", locale: "bC.UTF-8" };
    const safety = { checksums: "on", fsync: "on", listens: "127.0.0.1", password: "SCRAM-SHA-256" };
    expect(row).toEqual({ role: "tollgate", super: true, ...locale, ...safety });
    expect(await modeOf(dataDir)).toBe(isRoot ? 0o711 : 0o700);
    expect(await modeOf(join(dataDir, "postgres.password"))).toBe(0o600);
    expect(await modeOf(join(dataDir, "postgres.log"))).toBe(0o600);
  });

  itOnCluster("again on the same data, with other settings, after a stop that leaves no process", async (dataDir) => {
    const first = await start({ dataDir });
    await query(first.url, "drop table if exists kept; create table kept as select 7 as n");
    await query(first.url, "create database other");
    await Promise.all([first.stop(), first.stop()]);
    expect(isGone(first.pid())).toBe(true);
    const second = await start({ dataDir, settings: { ...fast, max_connections: "7" } });
    expect(await query(second.url, "select n from kept")).toEqual([{ n: 7 }]);
    expect(await query(second.url, "show max_connections")).toEqual([{ max_connections: "7" }]);
    expect(await query(second.adminUrl("other"), "select current_database() as d")).toEqual([{ d: "other" }]);
  });

  itOnCluster("with a new log when the old one is long", async (dataDir) => {
    await (await start({ dataDir })).stop();
    await writeFile(join(dataDir, "postgres.log"), "x".repeat(11 * 1024 * 1024));
    await start({ dataDir });
    expect((await stat(join(dataDir, "postgres.log"))).size).toBeLessThan(10_000);
    expect((await stat(join(dataDir, "postgres.log.1"))).size).toBeGreaterThan(10_000_000);
  });

  itOnCluster("in a process group of its own, and lets our process end after stop", async (dataDir) => {
    const child = run({ dataDir }, { checkout });
    const { pid } = await child.answer;
    expect(Number((await sh("ps", ["-o", "pgid=", "-p", String(pid)])).stdout)).toBe(pid);
    child.stop();
    expect(await child.exit).toBe(0);
    expect(isGone(pid)).toBe(true);
  });
});

// As long as the minute within which PostgreSQL may die, so that a busy machine has the time.
describe.concurrent("startEmbedded recovers", { timeout: 60_000 }, () => {
  itOnCluster("until PostgreSQL dies ten times within a minute, and then says so", async (dataDir) => {
    const logged: string[] = [];
    const database = await start({ dataDir, log: (message) => logged.push(message) });
    for (let deaths = 1; deaths <= 10; deaths++) {
      const pid = database.pid();
      process.kill(pid, "SIGKILL");
      await until(() => database.pid() !== pid || deaths === 10);
    }
    await until(() => logged.at(-1)?.includes("10 times within a minute") === true);
    await database.stop();
  });

  itOnCluster("by adopting a server whose process was killed, which it stops in the end", async (dataDir) => {
    const child = run({ dataDir }, { checkout });
    const { url, pid } = await child.answer;
    child.process.kill("SIGKILL");
    const database = await start({ dataDir });
    expect(database.pid()).toBe(pid);
    expect(database.url).toBe(url);
    await database.stop();
    expect(isGone(pid)).toBe(true);
  });

  itOnCluster("from a kill of both, though the stale pid now belongs to a stranger", async (dataDir) => {
    const { pid, pidFile, endSession } = await killedServer(dataDir, checkout);
    endSession();
    // Of the same user, else PostgreSQL itself would see that it cannot be its predecessor.
    const owner = isRoot ? { uid: nobody, gid: nobody } : {};
    const stranger = spawn("sleep", ["60"], { stdio: "ignore", ...owner });
    await writeFile(join(dataDir, "postgres", "postmaster.pid"), pidFile.replace(`${pid}`, `${stranger.pid}`));
    const database = await start({ dataDir });
    expect(await query(database.url, "select n from kept")).toEqual([{ n: 7 }]);
    expect(stranger.exitCode ?? stranger.signalCode).toBe(null);
    stranger.kill();
  });

  itOnCluster("from a kill of both while a session still works", async (dataDir) => {
    const { endSession } = await killedServer(dataDir, checkout);
    const starting = start({ dataDir });
    await until(() => readFileSync(join(dataDir, "postgres.log"), "utf8").includes("pre-existing shared memory"));
    endSession();
    expect(await query((await starting).url, "select n from kept")).toEqual([{ n: 7 }]);
  });

  itOnCluster(
    "from a kill of PostgreSQL or of a part of it, on the same port and still as the owner",
    async (dataDir) => {
      const logged: string[] = [];
      const database = await start({ dataDir, log: (message) => logged.push(message) });
      const killed = database.pid();
      process.kill(killed, "SIGKILL");
      await until(() => database.pid() !== killed);
      const [writer] = await query(database.url, "select pid from pg_stat_activity where backend_type = 'walwriter'");
      const restarted = database.pid();
      process.kill(Number(writer?.["pid"]), "SIGKILL");
      await until(() => logged.filter((line) => line.includes("runs again")).length === 2);
      expect(database.pid()).toBe(restarted);
      expect(await query(database.url, "select 1 as one")).toEqual([{ one: 1 }]);
      await expect(startEmbedded({ dataDir })).rejects.toThrow(DataDirInUse);
    },
  );

  itOnCluster("never against a stop that comes at the same time", async (dataDir) => {
    for (const pauseMs of [0, 10, 40, 80, 160]) {
      const database = await start({ dataDir });
      process.kill(database.pid(), "SIGKILL");
      await delay(pauseMs);
      await database.stop();
      expect(await serversOf(dataDir)).toEqual([]);
    }
  });

  it("from a first start that was killed half way", async () => {
    const dataDir = join(root, "half");
    const child = run({ dataDir }, { checkout });
    await until(() => existsSync(dataDir) && existsSync(join(dataDir, stagingIn(dataDir) ?? "none", "data", "base")));
    child.process.kill("SIGKILL");
    await child.exit;
    await (await start({ dataDir })).stop();
    await start({ dataDir });
    expect(stagingIn(dataDir)).toBe(undefined);
  });
});

describe.concurrent("startEmbedded refuses", () => {
  itOnCluster("a directory in use, without disturbing its owner", async (dataDir) => {
    const owner = await start({ dataDir });
    const refusal = await startEmbedded({ dataDir }).catch((fault: unknown) => fault);
    expect(refusal).toBeInstanceOf(DataDirInUse);
    expect(String(refusal)).toContain(`${dataDir} is in use by another Tollgate server (process ${process.pid}).`);
    expect(await query(owner.url, "select 1 as one")).toEqual([{ one: 1 }]);
  });

  it("one of two that start at once on an empty directory", async () => {
    const dataDir = join(root, "race");
    const both = [run({ dataDir }, { checkout }), run({ dataDir }, { checkout })];
    const answers = await Promise.all(both.map(({ answer }) => answer));
    expect(answers.map(({ error }) => error ?? "won").sort()).toEqual(["DataDirInUse", "won"]);
    const winner = answers.findIndex(({ url }) => url);
    expect(await query(answers[winner]?.url ?? "", "select 1 as one")).toEqual([{ one: 1 }]);
    both[winner]?.stop();
    expect(await Promise.all(both.map(({ exit }) => exit))).toEqual([0, 0]);
    expect(await serversOf(dataDir)).toEqual([]);
    expect((await readdir(dataDir)).sort()).toEqual(["postgres", "postgres.log", "postgres.password"]);
  });

  itOnCluster("a setting that PostgreSQL does not know, with the end of its log", async (dataDir) => {
    const starting = start({ dataDir, settings: { shared_buffers: "plenty" } });
    await expect(starting).rejects.toThrow(/invalid value for parameter "shared_buffers": "plenty"/);
  });

  itOnCluster("a password file that is missing or not the cluster's, and leaves nothing running", async (dataDir) => {
    await (await start({ dataDir })).stop();
    const passwordFile = join(dataDir, "postgres.password");
    const password = await readFile(passwordFile, "utf8");
    await writeFile(passwordFile, "wrong\n");
    await expect(startEmbedded({ dataDir })).rejects.toThrow("does not hold the password");
    expect(await serversOf(dataDir)).toEqual([]);
    await rm(passwordFile);
    await expect(startEmbedded({ dataDir })).rejects.toThrow("postgres.password is missing");
    await writeFile(passwordFile, password);
  });

  it("to run programs from a directory that others can write to", async () => {
    await mkdir(join(root, "open"));
    await chmod(join(root, "open"), 0o777);
    await expect(claimPlace(join(root, "open"), undefined)).rejects.toThrow("only this user can write to");
  });
});

describe.concurrent("a test run that is killed", () => {
  itOnCluster("leaves neither PostgreSQL nor its files behind", async (dataDir) => {
    const child = run({ dataDir }, { checkout });
    const { pid } = await child.answer;
    child.process.kill("SIGKILL");
    const watched = `import { watchOver } from "./test/harness/watchdog.ts"; watchOver(process.argv[1]); console.log();`;
    const args = ["--import", "tsx", "--input-type=module", "-e", watched, dataDir];
    const testRun = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "inherit"] });
    await once(testRun.stdout, "data");
    testRun.kill("SIGKILL");
    await until(() => isGone(pid) && !existsSync(dataDir));
  });
});

describe.concurrent("startEmbedded as root", { skip: !isRoot }, () => {
  itOnCluster("runs PostgreSQL as nobody or as the cluster's owner, and opens the way to the data", async (dataDir) => {
    for (const { owner, uid } of [{ uid: nobody }, { owner: 4321, uid: 4321 }, { owner: 0, uid: nobody }]) {
      if (owner !== undefined) {
        await sh("chown", ["-R", `${owner}:${owner}`, join(dataDir, "postgres")]);
        await chmod(dataDir, 0o700);
      }
      const database = await start({ dataDir });
      expect((await stat(`/proc/${database.pid()}`)).uid).toBe(uid);
      expect(await modeOf(dataDir)).toBe(0o711);
      await database.stop();
    }
  });

  it("copies programs and places data elsewhere when the checkout is closed and has no links", async () => {
    const closed = await makeCheckout("closed");
    const native = join(closed, "node_modules", packagesNeeded.at(-1) ?? "", "native");
    for (const { target } of JSON.parse(await readFile(join(native, "pg-symlinks.json"), "utf8"))) {
      await rm(join(native, "..", target), { force: true });
    }
    await chmod(closed, 0o700);
    const [dataDir, sharedDir] = [join(closed, ".tollgate"), join(root, "shared")];
    const both = [dataDir, join(closed, "b")].map((each) => run({ dataDir: each, sharedDir }, { checkout: closed }));
    const [answer] = await Promise.all(both.map((child) => child.answer));
    const location = (await readFile(join(dataDir, "postgres.location"), "utf8")).trim();
    expect(location.startsWith(join(sharedDir, "clusters"))).toBe(true);
    expect(commandLineOf(answer?.pid ?? 0)).toMatch(new RegExp(`^${sharedDir}/postgresql-18`));
    expect((await readdir(sharedDir)).length).toBe(2);
    await query(answer?.url ?? "", "create table kept as select 7 as n");
    for (const child of both) child.stop();
    expect(await Promise.all(both.map(({ exit }) => exit))).toEqual([0, 0]);

    const again = await start({ dataDir, sharedDir });
    expect(await query(again.url, "select n from kept")).toEqual([{ n: 7 }]);
    await again.stop();
    await rm(location, { recursive: true });
    await expect(startEmbedded({ dataDir, sharedDir })).rejects.toThrow(`lies in ${location}, which is gone`);
    await rm(dataDir, { recursive: true });
    const fresh = await start({ dataDir, sharedDir });
    expect(await query(fresh.url, "select to_regclass('kept') as kept")).toEqual([{ kept: null }]);
  });

  itOnCluster("copies programs to the temporary directory when the shared one cannot be used", async (dataDir) => {
    const closed = await makeCheckout("closed-tmp");
    await chmod(closed, 0o700);
    const [sharedDir, TMPDIR] = [join(root, "a-file"), join(root, "tmp")];
    await Promise.all([writeFile(sharedDir, ""), mkdir(TMPDIR)]);
    const child = run({ dataDir, sharedDir }, { checkout: closed, env: { TMPDIR } });
    const { pid } = await child.answer;
    expect(commandLineOf(pid)).toMatch(new RegExp(`^${TMPDIR}/tollgate-0/postgresql-18`));
    child.stop();
    expect(await child.exit).toBe(0);
  });

  it("is not needed: an ordinary user starts, adopts and stops it as well", async () => {
    const home = join(root, "ordinary");
    await mkdir(home, { mode: 0o700 });
    await chown(home, nobody, nobody);
    const [dataDir, options] = [join(home, "data"), { checkout, uid: nobody }];
    const child = run({ dataDir }, options);
    const { pid } = await child.answer;
    expect((await stat(`/proc/${pid}`)).uid).toBe(nobody);
    expect(await modeOf(dataDir)).toBe(0o700);
    child.process.kill("SIGKILL");
    const second = run({ dataDir }, options);
    expect((await second.answer).pid).toBe(pid);
    second.stop();
    expect(await second.exit).toBe(0);
    expect(isGone(pid)).toBe(true);
  });
});
