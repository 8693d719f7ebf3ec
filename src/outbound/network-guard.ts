import { lookup as systemLookup } from "node:dns/promises";
import { isIP, type LookupFunction } from "node:net";
import ipaddr from "ipaddr.js";
import { buildConnector } from "undici";

/**
 * Where the server lets itself be sent by people who set a base URL through the API: to public addresses only, so that
 * nobody reaches what stands beside the server. An address is judged when a connection is made to it, and the name is
 * not looked up again in between, so a name whose answer changes gains nothing. Private hosts are allowed by exact host
 * and port, and only by the server's own configuration.
 */
export type Resolve = (hostname: string) => Promise<{ address: string; family: number }[]>;

export interface NetworkGuard {
  /** What is wrong with the URL, for an admin to read; undefined when it may be used. */
  refusal(url: URL): Promise<string | undefined>;
  /** Makes connections for a pool of undici, to where they may go. */
  connector(timeoutMs: number): buildConnector.connector;
}

/** The one block of IPv6 from which public addresses are given out. */
const globalUnicast = ipaddr.parse("2000::");
const globalUnicastBits = 3;

/** True for what is routed on the internet: neither private, local, mapped, translated nor reserved. */
export function isPublicAddress(address: string): boolean {
  const parsed = ipaddr.parse(address);
  if (parsed.range() !== "unicast") return false;
  return parsed.kind() === "ipv4" || parsed.match(globalUnicast, globalUnicastBits);
}

export class AddressRefused extends Error {
  override readonly name = "AddressRefused";
  readonly code = "ADDRESS_REFUSED";
}

const resolveBySystem: Resolve = (hostname) => systemLookup(hostname, { all: true });

export class PublicNetwork implements NetworkGuard {
  readonly #allowed: ReadonlySet<string>;
  readonly #resolve: Resolve;

  /** `allowedHosts`: private ones, as `host:port`. */
  constructor(allowedHosts: readonly string[], resolve: Resolve = resolveBySystem) {
    this.#allowed = new Set(allowedHosts);
    this.#resolve = resolve;
  }

  async refusal(url: URL): Promise<string | undefined> {
    const { hostname, port, protocol } = url;
    if (this.#allows(hostname, port || portOf(protocol))) return undefined;
    const host = withoutBrackets(hostname);
    try {
      const addresses = isIP(host) ? [{ address: host }] : await this.#resolve(host);
      if (addresses.length > 0 && addresses.every(({ address }) => isPublicAddress(address))) return undefined;
      return "is not a public address; the server's configuration can allow it in PRIVATE_SERVICE_HOSTS";
    } catch {
      return "has a host that cannot be found";
    }
  }

  connector(timeoutMs: number): buildConnector.connector {
    const open = buildConnector({ timeout: timeoutMs });
    const lookup = this.#judgingLookup();
    const guarded = buildConnector({ timeout: timeoutMs, lookup });
    return (options, callback) => {
      const host = withoutBrackets(options.hostname);
      if (this.#allows(options.hostname, options.port || portOf(options.protocol))) return open(options, callback);
      // An address is connected to without a look-up, and is judged here.
      if (isIP(host) && !isPublicAddress(host)) return callback(new AddressRefused(), null);
      guarded(options, callback);
    };
  }

  #allows(hostname: string, port: string): boolean {
    return this.#allowed.has(`${hostname}:${port}`);
  }

  /** What it answers is what is connected to. One bad address among good ones is reason enough to refuse them all. */
  #judgingLookup(): LookupFunction {
    return (hostname, options, callback) => {
      this.#resolve(hostname).then(
        (addresses) => {
          const [first] = addresses;
          if (!first || !addresses.every(({ address }) => isPublicAddress(address))) {
            return callback(new AddressRefused(), "", 0);
          }
          if (options.all) callback(null, addresses);
          else callback(null, first.address, first.family);
        },
        (error: NodeJS.ErrnoException) => callback(error, "", 0),
      );
    };
  }
}

function withoutBrackets(hostname: string): string {
  return hostname.replace(/^\[|\]$/g, "");
}

function portOf(protocol: string): string {
  return protocol === "https:" ? "443" : "80";
}
