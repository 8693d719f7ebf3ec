import { decodeJwt, type JWTPayload, jwtVerify } from "jose";
import type { OidcIssuer } from "../../config/oidc-schema.ts";
import { AppError } from "../../errors.ts";
import { refused } from "../sessions/tokens.ts";
import { type RoleName, roles } from "../viewer.ts";
import { OidcKeys } from "./keys.ts";

/**
 * Tokens of identity providers: finds the configured issuer, verifies the token, and maps its claims to our roles and
 * accounts. A claim means only what the configuration maps for that issuer.
 */
export interface OidcPerson {
  issuer: string;
  subject: string;
  email: string;
  name: string | null;
  role: RoleName;
  /** As an id of the wire; null for a role that sees all accounts. */
  account: string | null;
  /** When the token was issued. */
  issuedAt: Date;
}

/** For how long a token is accepted after its end. */
const expiryToleranceSeconds = 5;
const ageMax = "1d";
const textLengthMax = 200;

export class Oidc {
  readonly #now: () => Promise<number>;
  readonly #issuers: ReadonlyMap<string, { issuer: OidcIssuer; keys: OidcKeys }>;

  /** @param now the time by the database's clock, in milliseconds */
  constructor(issuers: readonly OidcIssuer[], now: () => Promise<number>) {
    this.#now = now;
    this.#issuers = new Map(issuers.map((issuer) => [issuer.issuer, { issuer, keys: new OidcKeys(issuer) }]));
  }

  /** Whether the token claims to be of a configured issuer. The claim proves nothing. */
  claims(token: string): boolean {
    return this.#issuers.size > 0 && this.#issuers.has(String(decode(token).iss));
  }

  /** @throws UNAUTHENTICATED for an invalid token, FORBIDDEN for a person without a role here */
  async verify(token: string): Promise<OidcPerson> {
    const unproven = decode(token);
    const known = this.#issuers.get(String(unproven.iss));
    const now = await this.#now();
    // What is over needs no key to be refused, nor does it when the issuer cannot be asked for one.
    if (!known || Number(unproven.exp) + expiryToleranceSeconds < now / 1000) throw refused();
    const { issuer, audience, algorithms, type, clockToleranceSeconds } = known.issuer;
    const { payload } = await jwtVerify(token, known.keys.find, {
      ...{ issuer, audience, algorithms, typ: type },
      requiredClaims: ["sub", "iat", "exp"],
      maxTokenAge: ageMax,
      // For `iat` and `nbf`; `exp` was checked with less above.
      clockTolerance: clockToleranceSeconds,
      currentDate: new Date(now),
    }).catch((error: unknown) => {
      throw error instanceof AppError ? error : refused(error);
    });
    return toPerson(known.issuer, payload);
  }
}

function decode(token: string): JWTPayload {
  try {
    return decodeJwt(token);
  } catch (error) {
    throw refused(error);
  }
}

function toPerson(of: OidcIssuer, payload: JWTPayload): OidcPerson {
  const subject = plain(payload.sub);
  if (subject === undefined) throw refused("its subject is no plain text");
  const role = roleOf(of, payload);
  const account = role === "MEMBER" ? accountOf(of, payload) : null;
  const email = plain(textAt(payload, of.emailClaim))?.toLowerCase() ?? subject;
  const name = plain(textAt(payload, of.nameClaim)) ?? null;
  return { issuer: of.issuer, subject, email, name, role, account, issuedAt: new Date(Number(payload.iat) * 1000) };
}

/** The highest role to which the person's claim values are mapped. */
function roleOf({ roles: mapping }: OidcIssuer, payload: JWTPayload): RoleName {
  const given = textsAt(payload, mapping.claim).flatMap((value) => own(mapping.values, value) ?? []);
  const role = roles.findLast((one) => given.includes(one));
  if (!role) throw new AppError("FORBIDDEN", { message: "This person's issuer gives them no role here." });
  return role;
}

function accountOf({ account }: OidcIssuer, payload: JWTPayload): string {
  if (account && "id" in account) return account.id;
  const given = account && textsAt(payload, account.claim).flatMap((value) => own(account.values, value) ?? []);
  // Two accounts are ambiguous.
  if (given?.length !== 1 || given[0] === undefined) {
    throw new AppError("FORBIDDEN", { message: "This person's issuer gives them no account here." });
  }
  return given[0];
}

function valueAt(payload: JWTPayload, path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (value, name) =>
      typeof value === "object" && value !== null ? own(value as Record<string, unknown>, name) : undefined,
    payload,
  );
}

function textAt(payload: JWTPayload, path: readonly string[]): unknown {
  return textsAt(payload, path)[0];
}

function textsAt(payload: JWTPayload, path: readonly string[]): string[] {
  return [valueAt(payload, path)].flat().filter((value) => typeof value === "string");
}

/** Own properties only: an inherited one, such as `constructor`, is no claim. */
function own<V>(values: Record<string, V>, name: string): V | undefined {
  return Object.hasOwn(values, name) ? values[name] : undefined;
}

function plain(value: unknown): string | undefined {
  const fits = typeof value === "string" && value.length > 0 && value.length <= textLengthMax;
  return fits && value.isWellFormed() && !value.includes("\0") ? value : undefined;
}
