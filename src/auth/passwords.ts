import { compare, hash } from "bcrypt";
import { badInput } from "../errors.ts";
import { Gate } from "../gate.ts";

/**
 * People's passwords. bcrypt reads at most 72 bytes and stops at a NUL, so anything that it would cut is refused
 * rather than stored as if it had been read whole.
 */
const cost = 12;
const bytesMin = 8;
const bytesMax = 72;
/** Hashing is slow by design: two at a time leave the other threads of the pool to the traffic. */
const gate = new Gate(2, 20);

/** A hash of nothing in particular, compared against when there is no user, so that both cases take as long. */
const decoy = "$2b$12$C6UzMDM.H6dfI/f/IKcEeO7ZbQ5uqh1sYt8lT1uI5kCyeXEXmyxK6";

/** @throws BAD_USER_INPUT for a password of under 8 or over 72 bytes, with a NUL, or that is not well-formed */
export function checkPassword(password: string): void {
  const bytes = Buffer.byteLength(password);
  if (bytes < bytesMin) throw badInput(`A password has at least ${bytesMin} characters.`);
  if (bytes > bytesMax) throw badInput(`A password has at most ${bytesMax} bytes.`);
  if (password.includes("\0") || !password.isWellFormed()) throw badInput("A password is plain text.");
}

export function hashPassword(password: string): Promise<string> {
  checkPassword(password);
  return gate.run(() => hash(password, cost));
}

export async function verifyPassword(password: string, stored: string | null | undefined): Promise<boolean> {
  const readable = Buffer.byteLength(password) <= bytesMax && !password.includes("\0") && password.isWellFormed();
  const equal = await gate.run(() => compare(readable ? password : "", stored ?? decoy));
  return equal && readable && stored != null;
}
