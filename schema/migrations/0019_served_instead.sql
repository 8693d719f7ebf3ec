-- Calls that another model answered than the one that was asked for: few, and looked for by who ran them.
create index requests_served_instead on requests (provider, created_at) where served_model <> model;
