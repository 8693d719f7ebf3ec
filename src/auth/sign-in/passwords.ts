import { compare, getRounds, hash } from "bcrypt";
import { badInput } from "../../errors.ts";
import { Gate } from "../../tasks/gate.ts";

/** People's passwords. bcrypt reads at most 72 bytes and stops at a NUL, so a password that it would cut is refused. */
const bytesMin = 8;
const bytesMax = 72;
/** Hashing is slow by design: two at a time leave the other threads of the pool to the traffic. */
const gate = new Gate(2, 20);

/** Salt and hash of no real password. */
const nobodys = "C6UzMDM.H6dfI/f/IKcEeO7ZbQ5uqh1sYt8lT1uI5kCyeXEXmyxK6";

/** @throws BAD_USER_INPUT for a password of under 8 or over 72 bytes, with a NUL, or that is not well-formed */
export function checkPassword(password: string): void {
  const bytes = Buffer.byteLength(password);
  if (bytes < bytesMin) throw badInput(`A password has at least ${bytesMin} characters.`);
  if (bytes > bytesMax) throw badInput(`A password has at most ${bytesMax} bytes.`);
  if (password.includes("\0") || !password.isWellFormed()) throw badInput("A password is plain text.");
}

export class Passwords {
  readonly #cost: number;
  /** Compared against when the user does not exist, so that both cases take the same time. */
  readonly #decoy: string;

  /** `cost`: the binary logarithm of bcrypt's rounds, for passwords that are hashed from now on. */
  constructor(cost: number) {
    this.#cost = cost;
    this.#decoy = `$2b$${String(cost).padStart(2, "0")}$${nobodys}`;
  }

  /** @throws BAD_USER_INPUT, as `checkPassword` */
  hash(password: string): Promise<string> {
    checkPassword(password);
    return gate.run(() => hash(password, this.#cost));
  }

  async verify(password: string, stored: string | null | undefined): Promise<boolean> {
    const readable = Buffer.byteLength(password) <= bytesMax && !password.includes("\0") && password.isWellFormed();
    const equal = await gate.run(() => compare(readable ? password : "", stored ?? this.#decoy));
    return equal && readable && stored != null;
  }

  /** Whether it was hashed at another cost, and so takes another time to compare than the decoy. */
  isOutdated(stored: string): boolean {
    return getRounds(stored) !== this.#cost;
  }
}
