import { z } from "zod";

/**
 * Who else may say who a person is: `OIDC_ISSUERS`, a JSON list. Everything that a token must be is written down here
 * before any token comes, and an issuer gives no role but those that are mapped for it.
 */
const address = z
  .url({ protocol: /^https?$/ })
  .refine(isConfidential, "must start with https:// (http:// for loopback)");

/** A name, or the names one below the other: `["realm_access", "roles"]`. */
const claim = z.union([z.string().min(1), z.array(z.string().min(1)).min(1)]).transform((path) => [path].flat());

const account = z.string().regex(/^acc_[0-9a-f]{32}$/, "must be an id such as acc_0190…");
const role = z.enum(["OWNER", "ADMIN", "OPERATOR", "ANALYST", "MEMBER"]);
const algorithms = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
  "Ed25519",
];

const issuer = z
  .strictObject({
    issuer: address,
    audience: z.string().min(1),
    /** Where its public keys are; found by discovery when absent. */
    jwksUri: address.optional(),
    type: z.enum(["at+jwt", "JWT"]).default("at+jwt"),
    /** By how many seconds the issuer's clock may be ahead. */
    clockToleranceSeconds: z.number().int().min(5).max(300).default(30),
    algorithms: z.array(z.enum(algorithms)).min(1).default(["RS256", "PS256", "ES256", "EdDSA"]),
    roles: z.strictObject({ claim, values: z.record(z.string(), role) }),
    /** The account of its MEMBERs: one for all, or by a claim whose values are mapped. */
    account: z
      .union([z.strictObject({ id: account }), z.strictObject({ claim, values: z.record(z.string(), account) })])
      .optional(),
    emailClaim: claim.prefault("email"),
    nameClaim: claim.prefault("name"),
  })
  .refine(
    ({ roles, account: bound }) => bound !== undefined || !Object.values(roles.values).includes("MEMBER"),
    "MEMBERs need an account",
  );

const issuersMax = 20;

export const oidcIssuers = z
  .string()
  .transform((text, ctx): unknown => {
    try {
      return JSON.parse(text);
    } catch {
      ctx.addIssue("is not JSON");
      return z.NEVER;
    }
  })
  .pipe(z.array(issuer).max(issuersMax))
  .refine((all) => new Set(all.map((one) => one.issuer)).size === all.length, "issuers must differ");

export type OidcIssuer = z.infer<typeof issuer>;

/** Keys that came over a connection that anyone can change prove nothing. What is no address is told by another rule. */
function isConfidential(text: string): boolean {
  if (!URL.canParse(text)) return true;
  const { protocol, hostname } = new URL(text);
  return protocol === "https:" || /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname);
}
