-- What is summed up of final days has new forms and new cubes (src/ledger/cubes.ts), and is made anew from the hourly sums,
-- day after day, while reports read the hourly ones.
TRUNCATE "usage_folds", "usage_folded", "usage_latency_folded";
