-- "Which calls did this request make?" is asked with an id out of a log or an error, so it must not read all calls.
-- Ids that the server makes grow with time, which keeps the inserts at one end of the index.
CREATE INDEX "requests_http_request" ON "requests" ("http_request_id", "id");
