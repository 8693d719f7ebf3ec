import { readdirSync, readFileSync } from "node:fs";

/** What Linux tells of other processes. Elsewhere nothing is known, and what is not known is left out of the figures. */
const ticksPerSecond = 100;

/** CPU seconds so far in user and system mode, of all threads and of the children that have ended. */
export function cpuSecondsOf(pid: number): number | undefined {
  // The name of the program, in parentheses, may contain spaces.
  const fields = read(`/proc/${pid}/stat`)?.split(") ").at(-1)?.split(" ");
  return fields && [11, 12, 13, 14].reduce((sum, i) => sum + Number(fields[i]), 0) / ticksPerSecond;
}

/** Of all processes that descend from this one. */
export function cpuSecondsBelow(pid: number): number | undefined {
  const below = descendantsOf(pid);
  return below.length === 0 ? undefined : below.reduce((sum, child) => sum + (cpuSecondsOf(child) ?? 0), 0);
}

export function residentMbOf(pid: number): number | undefined {
  const kilobytes = /^VmRSS:\s+(\d+)/m.exec(read(`/proc/${pid}/status`) ?? "")?.[1];
  return kilobytes === undefined ? undefined : Math.round(Number(kilobytes) / 1024);
}

function descendantsOf(pid: number): number[] {
  const children = listing(`/proc/${pid}/task`).flatMap(
    (thread) => read(`/proc/${pid}/task/${thread}/children`)?.split(" ").filter(Boolean).map(Number) ?? [],
  );
  return children.flatMap((child) => [child, ...descendantsOf(child)]);
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}

function listing(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
