import { type Given, readParameters } from "./parameters.ts";
import { type DatabaseUrl, DatabaseUrlFault } from "./url.ts";

const form = /^postgres(?:ql)?:\/\/([^/?]*)(?:\/([^?]*))?(?:\?(.*))?$/s;

/** @throws DatabaseUrlFault */
export function parseDatabaseUrl(text: string): DatabaseUrl {
  const { given, faults } = readGiven(text);
  const url = readParameters(given, faults);
  if (faults.length > 0) throw new DatabaseUrlFault(faults);
  return url;
}

/** @throws DatabaseUrlFault when it is no URL of PostgreSQL at all */
export function readGiven(text: string): { given: Given; faults: string[] } {
  const [matched, authority = "", path = "", query = ""] = form.exec(text) ?? [];
  if (matched === undefined) throw new DatabaseUrlFault(["must start with postgres://"]);
  const faults: string[] = [];
  // Without a prototype, because any name may come.
  const given: Given = Object.assign(
    Object.create(null),
    readAuthority(authority, faults),
    named("dbname", path, faults),
  );
  for (const pair of query.split("&").filter(Boolean)) {
    const [, name = "", value] = /^([^=]*)(?:=(.*))?$/s.exec(pair) ?? [];
    if (value === undefined) faults.push("a parameter has no value: each is name=value");
    else Object.assign(given, named(decode(name, "a parameter", faults), value, faults));
  }
  return { given, faults };
}

const unreadable =
  "is not user:password@host:port/database (IPv6 addresses stand in brackets, special characters are percent-encoded)";

/** `user:password@host:port,host:port`; a raw `@` within a password is let through. */
function readAuthority(authority: string, faults: string[]): Given {
  const at = authority.lastIndexOf("@");
  const [, user = "", password = ""] = /^([^:]*)(?::(.*))?$/s.exec(authority.slice(0, Math.max(at, 0))) ?? [];
  const places = authority.slice(at + 1).split(",");
  const hosts: string[] = [];
  const ports: string[] = [];
  for (const place of places) {
    const [matched, v6, name = "", port = ""] = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d*))?$/.exec(place) ?? [];
    // What cannot be read may be a part of a password, and is not repeated.
    if (matched === undefined) faults.push(unreadable);
    hosts.push(v6 ?? name);
    ports.push(port);
  }
  return {
    ...named("user", user, faults),
    ...named("password", password, faults),
    ...named("host", hosts.join(","), faults),
    ...(ports.some(Boolean) && { port: ports.join(",") }),
  };
}

function named(name: string, encoded: string, faults: string[]): Given {
  return encoded ? { [name]: decode(encoded, name, faults) } : {};
}

function decode(encoded: string, name: string, faults: string[]): string {
  try {
    return decodeURIComponent(encoded);
  } catch {
    faults.push(`${name} has a % that is not followed by two hexadecimal digits of UTF-8`);
    return "";
  }
}
