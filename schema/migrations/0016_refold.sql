-- What is summed up of final days has new forms (src/ledger/cubes.ts) and is made anew from the hourly sums, day after day.
TRUNCATE "usage_folds", "usage_folded", "usage_latency_folded";
