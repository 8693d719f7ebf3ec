import type { OpenSocket } from "./open-socket.ts";

/**
 * Limits sockets, in all and for one address. Sockets whose caller is not identified yet have lower limits, because
 * anyone can open them. Clients identify themselves at once, so few of them wait at the same time.
 */
const socketsMax = 10_000;
const unidentifiedMax = 1_000;
const perAddressMax = 1_000;
const unidentifiedPerAddressMax = 100;

/** Whether one more socket may open. Its address is known, its caller is not. */
export function hasRoom(sockets: ReadonlySet<OpenSocket>, { network }: Pick<OpenSocket, "network">): boolean {
  const count = { unidentified: 0, address: 0, unidentifiedOfAddress: 0 };
  for (const socket of sockets) {
    const isNear = socket.network === network;
    if (isNear) count.address += 1;
    if (socket.identified) continue;
    count.unidentified += 1;
    if (isNear) count.unidentifiedOfAddress += 1;
  }
  return (
    sockets.size < socketsMax &&
    count.unidentified < unidentifiedMax &&
    count.address < perAddressMax &&
    count.unidentifiedOfAddress < unidentifiedPerAddressMax
  );
}
