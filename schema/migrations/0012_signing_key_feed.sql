-- Tells every replica when the keys that sign access tokens change, so that a key that was removed is refused at once.
CREATE FUNCTION "tell_signing_key_change"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('tollgate_changes', 'signing-key:' || NEW.kid || ':0');
  RETURN NULL;
END $$;
--> statement-breakpoint
CREATE TRIGGER "signing_keys_tell_change" AFTER INSERT OR UPDATE ON "signing_keys"
  FOR EACH ROW EXECUTE FUNCTION "tell_signing_key_change"();
