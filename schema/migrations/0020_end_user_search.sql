-- A search for the calls of one end user reads those, not all calls. Calls without an end user cost nothing here.
CREATE INDEX "requests_end_user" ON "requests" ("end_user", "id") WHERE "end_user" IS NOT NULL;
