import { index, integer, jsonb, pgTable, primaryKey, text } from "drizzle-orm/pg-core";
import { bytea, instant } from "./columns.ts";

/** Attempts to sign in that have failed, or whose outcome is not known yet, by what they were made on and from. */
export const signInFailures = pgTable(
  "sign_in_failures",
  {
    kind: text("kind", { enum: ["EMAIL", "ADDRESS"] }).notNull(),
    /** A digest of the email, because people mistype passwords into that field; an address as it is. */
    subject: text("subject").notNull(),
    failures: integer("failures").notNull(),
    /** When all of this is forgotten. With as many failures as are allowed, it is the end of the lock. */
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
    /** The private key, encrypted by a key that is derived from SERVER_SECRET; taken away when it signs no more. */
    sealedPrivate: bytea("sealed_private"),
    createdAt: instant("created_at").notNull().defaultNow(),
    /** Published before, so that whoever keeps the public keys for a while knows it by then. */
    signsFrom: instant("signs_from").notNull(),
    /** When the last token that it has signed is over; null until another key takes its place. */
    endsAt: instant("ends_at"),
    /** Set when it was taken out before its time: its tokens are refused. */
    removedAt: instant("removed_at"),
  },
  (t) => [index("signing_keys_signs_from").on(t.signsFrom)],
);
