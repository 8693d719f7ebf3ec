import { index, integer, pgTable, primaryKey, text } from "drizzle-orm/pg-core";
import { instant } from "./columns.ts";

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
