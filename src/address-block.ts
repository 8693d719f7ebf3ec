import ipaddr from "ipaddr.js";

/**
 * The block that limits count as one address: an IPv4 address (also if written as IPv6), or the /64 of an IPv6 address,
 * because one customer of a provider has a whole /64. Text that is no address stays as it is.
 */
export function addressBlockOf(text: string): string {
  const bare = text.split("%")[0] ?? text;
  if (!ipaddr.isValid(bare)) return text;
  const address = ipaddr.process(bare);
  if (address.kind() === "ipv4") return address.toString();
  return `${ipaddr.IPv6.networkAddressFromCIDR(`${address.toString()}/64`).toString()}/64`;
}
