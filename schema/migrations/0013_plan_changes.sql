-- A plan and an account hold terms of many keys: a change of one is told to every replica as that of a key is.
CREATE FUNCTION "tell_plan_change"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('tollgate_changes', 'plan:' || NEW.id || ':' || NEW.version);
  RETURN NULL;
END $$;
--> statement-breakpoint
CREATE TRIGGER "plans_tell_change" AFTER UPDATE ON "plans"
  FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION "tell_plan_change"();
--> statement-breakpoint
CREATE FUNCTION "tell_account_change"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('tollgate_changes', 'account:' || NEW.id || ':0');
  RETURN NULL;
END $$;
--> statement-breakpoint
CREATE TRIGGER "accounts_tell_change" AFTER UPDATE ON "accounts"
  FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION "tell_account_change"();
