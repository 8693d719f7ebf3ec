/**
 * Decides where the database's files are and creates them at the first start: all of them or, when killed, none. Two
 * processes may do this at once; every name is claimed by an exclusive link or rename, and the loser uses the winner's.
 */
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  chmod,
  chown,
  link,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  realpath,
  rename,
  rm,
  stat,
  writeFile,
} from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import type { RunAs } from "./runtime.ts";
import { claimPlace, exists, findRuntime, ignoring, permits, stagingName, sweepStaging } from "./runtime.ts";

export const role = "tollgate";

/** Nothing is inherited: PG* variables would change the server, and another locale its log. */
export const plainEnvironment = { LC_ALL: "C", TZ: "UTC" };

const nobody: RunAs = { uid: 65534, gid: 65534 };

export interface Cluster {
  dataDir: string;
  /** Absolute and free of links, so that it can be found in the command line of a running server. */
  directory: string;
  runtime: string;
  runAs: RunAs | undefined;
  password: string;
  logFile: string;
}

export async function prepareCluster(dataDirAsGiven: string, sharedDir: string): Promise<Cluster> {
  const dataDir = await makeDataDir(dataDirAsGiven);
  const home = await chooseHome(dataDir, sharedDir);
  const directory = join(home, "postgres");
  const runAs = await chooseUser(directory);
  const runtime = await findRuntime(runAs, sharedDir);
  const passwordFile = join(dataDir, "postgres.password");
  const isNew = !(await exists(join(directory, "PG_VERSION")));
  if (!isNew && !(await exists(passwordFile))) {
    throw new Error(`${passwordFile} is missing. Put it back, or delete ${directory} to start with an empty database.`);
  }
  const password = await writeOnce(passwordFile, randomBytes(32).toString("base64url"));
  const cluster = { dataDir, directory, runtime, runAs, password, logFile: join(dataDir, "postgres.log") };
  if (isNew) await initialise(cluster);
  // Last, because the initdb of a process that was killed lives on until it next prints something.
  await sweepStaging(directory);
  return cluster;
}

async function makeDataDir(path: string): Promise<string> {
  const mode = isRoot() ? 0o711 : 0o700;
  const isNew = await mkdir(path, { recursive: true, mode });
  if (isNew) await chmod(path, mode);
  return realpath(path);
}

/** The folder of the cluster: DATA_DIR, except where root's unprivileged user cannot reach it. */
async function chooseHome(dataDir: string, sharedDir: string): Promise<string> {
  const locationFile = join(dataDir, "postgres.location");
  const recorded = await readText(locationFile);
  if (recorded) {
    if (await exists(recorded)) return recorded;
    // An empty database in its place would look like lost data.
    const remedy = "Put it back, or delete that file and postgres.password to start with an empty database.";
    throw new Error(`${locationFile} says that the database lies in ${recorded}, which is gone. ${remedy}`);
  }
  if (!isRoot() || (await openTo(nobody, dataDir)) || (await exists(join(dataDir, "postgres")))) return dataDir;

  await claimPlace(sharedDir, nobody);
  const own = await mkdtemp(join(await claimPlace(join(sharedDir, "clusters"), nobody), "/"));
  await chmod(own, 0o711);
  await writeFile(join(own, "origin"), `${dataDir}\n`);
  const home = await writeOnce(locationFile, own);
  if (home !== own) await rm(own, { recursive: true });
  return home;
}

/** Data stays in DATA_DIR when only its own x bit is missing: elsewhere it would not be on a container's volume. */
async function openTo(runAs: RunAs, directory: string): Promise<boolean> {
  if (await permits(runAs, directory, 0o1)) return true;
  const { uid, mode } = await stat(directory);
  if (uid !== 0 || !(await permits(runAs, dirname(directory), 0o1))) return false;
  await chmod(directory, (mode & 0o7777) | 0o011);
  return true;
}

/** Root takes the identity of the cluster's owner, so a cluster that an ordinary user made stays usable to them. */
async function chooseUser(directory: string): Promise<RunAs | undefined> {
  const owner = await stat(directory).catch(ignoring("ENOENT"));
  if (isRoot()) {
    if (owner?.uid === 0) await giveTo(nobody, directory);
    return owner && owner.uid !== 0 ? { uid: owner.uid, gid: owner.gid } : nobody;
  }
  const uid = process.getuid?.();
  if (owner && uid !== undefined && owner.uid !== uid) {
    throw new Error(`${directory} belongs to uid ${owner.uid}, not to uid ${uid} that runs this process.`);
  }
  return undefined;
}

/** A copy restored by root belongs to root, who may not run PostgreSQL on it. */
async function giveTo({ uid, gid }: RunAs, directory: string): Promise<void> {
  for (const entry of await readdir(directory, { withFileTypes: true, recursive: true })) {
    await chown(join(entry.parentPath, entry.name), uid, gid);
  }
  await chown(directory, uid, gid);
}

async function initialise(cluster: Cluster): Promise<void> {
  const staging = stagingName(cluster.directory);
  try {
    await mkdir(staging, { mode: 0o700 });
    await writeFile(join(staging, "password"), cluster.password, { mode: 0o600 });
    if (cluster.runAs) await giveTo(cluster.runAs, staging);
    await runInitdb(cluster, staging);
    await rename(join(staging, "data"), cluster.directory).catch(ignoring("ENOTEMPTY", "EEXIST"));
    await syncDirectory(dirname(cluster.directory));
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
  if (await exists(join(cluster.directory, "PG_VERSION"))) return;
  throw new Error(`${cluster.directory} exists and is not a PostgreSQL cluster. Move it away and start again.`);
}

async function runInitdb({ runtime, runAs }: Cluster, staging: string): Promise<void> {
  const args = [
    ["-D", join(staging, "data"), "-U", role, `--pwfile=${join(staging, "password")}`, "--auth=scram-sha-256"],
    ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"],
    ["--data-checksums", "--no-instructions"],
  ].flat();
  try {
    // The working directory may be closed to that user, and initdb looks at it.
    await promisify(execFile)(join(runtime, "bin", "initdb"), args, { cwd: staging, env: plainEnvironment, ...runAs });
  } catch (cause) {
    const said = (cause as { stderr?: string }).stderr?.trim() || String(cause);
    throw new Error(`PostgreSQL's initdb failed: ${said} (DATABASE_URL can name a PostgreSQL of your own.)`, { cause });
  }
}

/**
 * Writes a file that is never changed again, and returns its content: ours, or that of a process that wrote it first.
 */
async function writeOnce(path: string, content: string): Promise<string> {
  await sweepStaging(path);
  const written = await readText(path);
  if (written) return written;
  const staging = stagingName(path);
  try {
    await writeFile(staging, `${content}\n`, { mode: 0o600, flush: true });
    // Unlike a rename, a link never replaces an existing file.
    await link(staging, path).catch(ignoring("EEXIST"));
  } finally {
    await rm(staging, { force: true });
  }
  return (await readFile(path, "utf8")).trim();
}

async function readText(path: string): Promise<string | undefined> {
  return (await readFile(path, "utf8").catch(ignoring("ENOENT")))?.trim();
}

async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, "r");
  await handle.sync().finally(() => handle.close());
}

function isRoot(): boolean {
  return process.getuid?.() === 0;
}
