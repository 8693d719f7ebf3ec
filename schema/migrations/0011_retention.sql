-- Creates the partition of one month; safe to call at any time, from any replica. Rows of the month that fell into the
-- default partition move into their own: PostgreSQL refuses a partition whose rows lie there.
CREATE FUNCTION "create_request_partition"(month date) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  first date := date_trunc('month', month)::date;
  lower timestamptz := first::timestamp AT TIME ZONE 'UTC';
  upper timestamptz := (first + interval '1 month') AT TIME ZONE 'UTC';
  name text := 'requests_' || to_char(first, 'YYYYMM');
BEGIN
  IF to_regclass(name) IS NOT NULL THEN
    RETURN;
  END IF;
  -- Nothing may fall into the default partition between the move and the attachment; a twin waits here and looks again.
  LOCK TABLE requests_default IN ACCESS EXCLUSIVE MODE;
  IF to_regclass(name) IS NOT NULL THEN
    RETURN;
  END IF;
  EXECUTE format('CREATE TABLE %I (LIKE requests INCLUDING ALL)', name);
  EXECUTE format(
    'WITH moved AS (DELETE FROM requests_default WHERE created_at >= %L AND created_at < %L RETURNING *)
     INSERT INTO %I SELECT * FROM moved',
    lower,
    upper,
    name
  );
  EXECUTE format('ALTER TABLE requests ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', name, lower, upper);
END $$;
--> statement-breakpoint
CREATE OR REPLACE FUNCTION "create_request_partitions"(months integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  FOR i IN 0..months LOOP
    PERFORM create_request_partition(((now() AT TIME ZONE 'UTC') + make_interval(months => i))::date);
  END LOOP;
END $$;
--> statement-breakpoint
-- Calls that began before this instant were archived and dropped; null while none were. Months are dropped in their order.
CREATE FUNCTION "requests_dropped_before"() RETURNS timestamptz LANGUAGE sql STABLE AS $$
  SELECT (max(month) + interval '1 month') AT TIME ZONE 'UTC' FROM request_archives WHERE dropped_at IS NOT NULL
$$;
--> statement-breakpoint
COMMENT ON VIEW "bi"."requests_v1" IS 'One row for each call. Months that were archived and dropped are not in it any more: usage_hourly_v1 keeps their sums.';
