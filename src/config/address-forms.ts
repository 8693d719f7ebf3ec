import { isIP } from "node:net";

/** Which addresses the settings take. */

export function isProxy(text: string): boolean {
  const [address = "", bits, ...rest] = text.split("/");
  const family = isIP(address);
  const fits = bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 6 ? 128 : 32));
  return text === "loopback" || (family !== 0 && fits && rest.length === 0);
}

/** As a URL has them once it is read, so that the two can be compared as text. */
export function isHostAndPort(text: string): boolean {
  const [host = ""] = text.split(/:\d{1,5}$/);
  return /:\d{1,5}$/.test(text) && URL.canParse(`http://${text}`) && new URL(`http://${text}`).hostname === host;
}

/** Browsers send an origin without a path, and it is compared as text. */
export function isOrigin(text: string): boolean {
  return URL.canParse(text) && new URL(text).origin === text;
}
