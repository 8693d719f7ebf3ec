/** A migration as the journal and the disk have it. */
export interface Migration {
  tag: string;
  /** The journal's time, by which a database knows what it has run. */
  when: number;
  /** Of the file's bytes. */
  sha256: string;
}

/**
 * Where migrations depart from those that were released. A database that has run a migration never runs it again, and
 * skips any that is older than the last one it ran: an edit, a new order or a removal would leave databases that differ.
 */
export function departures(released: readonly Migration[], present: readonly Migration[]): string[] {
  const found: string[] = [];
  released.forEach(({ tag, when, sha256 }, at) => {
    const now = present[at];
    if (now?.tag !== tag)
      found.push(`${tag} was released and must stay at its place. Correct it with a new migration.`);
    else if (now.when !== when) found.push(`${tag} was released: its time in the journal must not change.`);
    else if (now.sha256 !== sha256) found.push(`${tag} was released and must not be edited. Write a new migration.`);
  });
  present.forEach(({ tag, when }, at) => {
    const before = present[at - 1];
    if (before && when <= before.when) found.push(`${tag} must be later in the journal than ${before.tag}.`);
  });
  return found;
}
