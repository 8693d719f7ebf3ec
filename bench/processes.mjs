import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** What Linux tells of another process. Elsewhere, or of a server on another machine, nothing is known. */
const ticksPerSecond = 100;

/** The process that listens on a port of this machine. */
export function listenerOn(port) {
  const inode = ["/proc/net/tcp", "/proc/net/tcp6"].flatMap((file) => socketsIn(file, port))[0];
  if (inode === undefined) return undefined;
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids.find((pid) => attempt(() => filesOf(pid).includes(`socket:[${inode}]`)));
}

function socketsIn(file, port) {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const rows = (attempt(() => readFileSync(file, "utf8")) ?? "").split("\n").map((row) => row.trim().split(/\s+/));
  const listening = "0A";
  return rows.filter(([, local, , state]) => local?.endsWith(suffix) && state === listening).map((row) => row[9]);
}

function filesOf(pid) {
  return readdirSync(`/proc/${pid}/fd`).map((fd) => attempt(() => readlinkSync(`/proc/${pid}/fd/${fd}`)));
}

/** CPU seconds so far, of all its threads, in user and system mode. */
export function cpuSecondsOf(pid) {
  // The name of the program, in parentheses, may contain spaces.
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

export function residentMbOf(pid) {
  return Math.round(Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024);
}

function attempt(read) {
  try {
    return read();
  } catch {
    return undefined;
  }
}
