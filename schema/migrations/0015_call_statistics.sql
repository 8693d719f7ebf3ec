-- A key has one account: without being told, the planner takes the calls of a key for a hundredth of what they are, and
-- sorts all of them for a page of fifty. New partitions are made LIKE the parent and take it over.
CREATE STATISTICS "requests_owner" (dependencies) ON "account_id", "api_key_id" FROM "requests";
--> statement-breakpoint
DO $$
DECLARE
  part regclass;
BEGIN
  FOR part IN SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'requests'::regclass LOOP
    EXECUTE format('CREATE STATISTICS %I (dependencies) ON account_id, api_key_id FROM %s', part || '_owner', part);
    EXECUTE format('ANALYZE %s', part);
  END LOOP;
END $$;
