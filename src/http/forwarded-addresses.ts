import { isIP, isIPv4 } from "node:net";
import type { onRequestHookHandler } from "fastify";
import ipaddr from "ipaddr.js";

/** An entry that is no address stands as this one: no allowlist has it, and limits count all such callers as one. */
const unknownAddress = "::";
/** More proxies than any request passes; it bounds the work that a long header makes. */
const entriesMax = 32;

/**
 * Rewrites `X-Forwarded-For` to plain addresses before Fastify reads the caller's address from it: proxies such as
 * Azure's gateway add the port, and others write what the header `Forwarded` takes, with quotes and brackets.
 */
export const readForwardedAddresses: onRequestHookHandler = ({ raw: { headers } }, _reply, done) => {
  const given = headers["x-forwarded-for"];
  if (typeof given === "string") headers["x-forwarded-for"] = plainAddresses(given);
  done();
};

/** Blank entries are left out, and only the last entries count. */
export function plainAddresses(header: string): string {
  const entries = header.split(",").map((entry) => entry.trim());
  return entries.filter(Boolean).slice(-entriesMax).map(plainAddress).join(", ");
}

const quoted = /^"(.*)"$/;
const bracketed = /^\[([^\]]*)\](?::\d{1,5})?$/;
const ipv4WithPort = /^([\d.]+):\d{1,5}$/;

function plainAddress(entry: string): string {
  const text = (quoted.exec(entry)?.[1] ?? entry).trim();
  const inBrackets = bracketed.exec(text)?.[1];
  const address = inBrackets ?? ipv4WithPort.exec(text)?.[1] ?? text;
  // A zone such as %eth0 belongs to one machine's view of its network.
  const bare = address.replace(/%.*$/s, "");
  // Only IPv6 is written in brackets. `isIP` is stricter than the parser, which takes `127.1` and octal numbers.
  if (isIP(bare) === 0 || (inBrackets !== undefined && isIPv4(bare))) return unknownAddress;
  return ipaddr.process(bare).toString();
}
