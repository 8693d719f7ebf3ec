import { BlockList, isIP, isIPv6 } from "node:net";

/** Addresses and CIDR ranges, IPv4 and IPv6; an IPv4 address that is written as an IPv6 one is the IPv4 address. */
export function isAddressRange(text: string): boolean {
  const [address = "", bits, ...rest] = text.split("/");
  const family = isIP(address);
  // A zone such as %eth0 belongs to one machine's view of its network.
  if (family === 0 || address.includes("%") || rest.length > 0) return false;
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 6 ? 128 : 32));
}

export function toBlockList(ranges: readonly string[]): BlockList {
  const list = new BlockList();
  for (const range of ranges) {
    const [address = "", bits] = range.split("/");
    const family = isIPv6(address) ? "ipv6" : "ipv4";
    if (bits === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(bits), family);
  }
  return list;
}

/** Whether `inner` allows no address that `outer` refuses. A range must lie within one range of `outer`, not several. */
export function isWithinRanges(inner: readonly string[] | null, outer: readonly string[] | null): boolean {
  if (outer === null) return true;
  return inner?.every((range) => outer.some((wider) => contains(wider, range))) ?? false;
}

function contains(outer: string, inner: string): boolean {
  const [address = ""] = inner.split("/");
  const sameFamily = isIPv6(outer.split("/")[0] ?? "") === isIPv6(address);
  return sameFamily && bitsOf(outer) <= bitsOf(inner) && allowsAddress(toBlockList([outer]), address);
}

function bitsOf(range: string): number {
  const [address = "", bits] = range.split("/");
  return bits === undefined ? (isIPv6(address) ? 128 : 32) : Number(bits);
}

export function allowsAddress(list: BlockList | undefined, ip: string): boolean {
  return list?.check(ip, isIPv6(ip) ? "ipv6" : "ipv4") ?? true;
}
