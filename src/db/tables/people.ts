import { index, integer, jsonb, pgTable, primaryKey, text } from "drizzle-orm/pg-core";
import { bytea, instant } from "./columns.ts";

/** Sign-in attempts that failed, or whose outcome is not known yet, by email and by IP address. */
export const signInFailures = pgTable(
  "sign_in_failures",
  {
    kind: text("kind", { enum: ["EMAIL", "ADDRESS"] }).notNull(),
    /** A digest of the email, because people mistype passwords into that field; an IP address in plaintext. */
    subject: text("subject").notNull(),
    failures: integer("failures").notNull(),
    /** When the failures expire. With the allowed number of failures, it is the end of the lock. */
    endsAt: instant("ends_at").notNull(),
  },
  (t) => [primaryKey({ columns: [t.kind, t.subject] }), index("sign_in_failures_end").on(t.endsAt)],
);

/** One row: what the SERVER_SECRET of this database gives for a constant, so that a different one is noticed at the start. */
export const serverSecret = pgTable("server_secret", {
  id: integer("id").primaryKey().default(1),
  checkValue: bytea("check_value").notNull(),
  adoptedAt: instant("adopted_at").notNull().defaultNow(),
});

/** Keys that sign access tokens. All replicas sign with the newest one that may sign by now. */
export const signingKeys = pgTable(
  "signing_keys",
  {
    /** The thumbprint of the public key (RFC 7638), as tokens name it. */
    kid: text("kid").primaryKey(),
    publicJwk: jsonb("public_jwk").$type<{ kty: string; crv: string; x: string }>().notNull(),
    /** The private key, encrypted by a key that is derived from SERVER_SECRET; deleted when it no longer signs. */
    sealedPrivate: bytea("sealed_private"),
    createdAt: instant("created_at").notNull().defaultNow(),
    /** The key is published earlier, so that services that cache public keys know it by then. */
    signsFrom: instant("signs_from").notNull(),
    /** When its last token expires; null until another key replaces it. */
    endsAt: instant("ends_at"),
    /** Set when the key was removed after a leak: its tokens are refused. */
    removedAt: instant("removed_at"),
  },
  (t) => [index("signing_keys_signs_from").on(t.signsFrom)],
);
