import ipaddr from "ipaddr.js";

/**
 * What counts as one address: an IPv4 address, also when it is written as IPv6, and the /64 of an IPv6 address, of
 * which one customer of a provider has more than anyone can count. Text that is no address stays as it is.
 */
export function networkOf(text: string): string {
  const bare = text.split("%")[0] ?? text;
  if (!ipaddr.isValid(bare)) return text;
  const address = ipaddr.process(bare);
  if (address.kind() === "ipv4") return address.toString();
  return `${ipaddr.IPv6.networkAddressFromCIDR(`${address.toString()}/64`).toString()}/64`;
}
