-- Tells every replica of a change at the moment it is committed, by whatever door it was made. Using a key is no
-- change: only what raises the version is told.
CREATE FUNCTION "tell_key_change"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('tollgate_changes', 'key:' || NEW.id || ':' || NEW.version);
  RETURN NULL;
END $$;
--> statement-breakpoint
CREATE TRIGGER "api_keys_tell_change" AFTER UPDATE ON "api_keys"
  FOR EACH ROW WHEN (OLD.version IS DISTINCT FROM NEW.version) EXECUTE FUNCTION "tell_key_change"();
