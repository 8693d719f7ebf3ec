-- Whether a call was answered out of the cache; mirrored in src/db/partitioned.ts.
ALTER TABLE "requests" ADD COLUMN "cached" boolean NOT NULL DEFAULT false;
