-- Live feeds: while a replica listens, each settlement names its calls here together with its transaction, so that a
-- reader can tell what was committed since its last look. Nothing of it must survive a crash: a listener whose row is
-- gone knows that it has missed something.
CREATE UNLOGGED TABLE "feed_listeners" (
  "id" uuid PRIMARY KEY,
  "expires_at" timestamptz NOT NULL
);
--> statement-breakpoint
CREATE UNLOGGED TABLE "settled_feed" (
  "xid" xid8 NOT NULL DEFAULT pg_current_xact_id(),
  "account_id" uuid NOT NULL,
  "id" uuid NOT NULL,
  "created_at" timestamptz NOT NULL,
  "settled_at" timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY ("xid", "id")
);
--> statement-breakpoint
CREATE INDEX "settled_feed_settled_at" ON "settled_feed" ("settled_at");
