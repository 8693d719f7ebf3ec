/**
 * Records the calls that were just settled, for live feeds, while any replica has a listener: a CTE that follows one
 * named `request`. Without a listener, it costs one read of an empty table per batch.
 */
export const feedCte = `, fed as (
      insert into settled_feed (account_id, id, created_at)
      select account_id, id, created_at from request
      where exists (select from feed_listeners where expires_at > now())
    )`;
