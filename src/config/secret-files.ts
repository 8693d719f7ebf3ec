import { readFileSync } from "node:fs";

/**
 * `NAME_FILE` for a setting that holds a secret: the value is read from that file, as container platforms mount
 * secrets. A line break at the end of the file is no part of the value.
 */
const secretNames = [
  "DATABASE_URL",
  "DATABASE_DIRECT_URL",
  "REDIS_URL",
  "ANALYTICS_DATABASE_URL",
  "SERVER_SECRET",
  "JWT_PRIVATE_KEY",
  "ADMIN_PASSWORD",
  "METRICS_TOKEN",
  "ANTHROPIC_API_KEY",
];

type Present = Record<string, string>;

/** The variable that holds the key of a service of `OPENAI_COMPATIBLE_SERVICES`. */
export function serviceKeyName(service: string): string {
  return `${service.toUpperCase().replaceAll("-", "_")}_API_KEY`;
}

/** The settings with the secrets of files filled in, and the faults in words; values are in none of them. */
export function readSecretFiles(settings: Present): { settings: Present; faults: string[] } {
  const filled = { ...settings };
  const faults = namesIn(settings).flatMap((name) => {
    const file = settings[`${name}_FILE`];
    if (file === undefined) return [];
    if (settings[name] !== undefined) return [`${name}: must not be set beside ${name}_FILE`];
    const read = readSecret(file);
    if ("fault" in read) return [`${name}_FILE: ${read.fault}`];
    filled[name] = read.text;
    return [];
  });
  return { settings: filled, faults };
}

/** One secret, for a program that reads a single setting. @throws Error in words */
export function readSecretFile(file: string, name: string): string {
  const read = readSecret(file);
  if ("fault" in read) throw new Error(`${name}: ${read.fault}`);
  return read.text;
}

function namesIn({ OPENAI_COMPATIBLE_SERVICES: services = "" }: Present): string[] {
  const serviceNames = services.split(",").map((part) => part.split("=")[0]?.trim() ?? "");
  return [...new Set([...secretNames, ...serviceNames.filter(Boolean).map(serviceKeyName)])];
}

function readSecret(file: string): { text: string } | { fault: string } {
  try {
    const text = readFileSync(file, "utf8").replace(/\r?\n$/, "");
    return text === "" ? { fault: `the file ${file} is empty` } : { text };
  } catch (error) {
    return { fault: `the file ${file} cannot be read (${(error as NodeJS.ErrnoException).code})` };
  }
}
