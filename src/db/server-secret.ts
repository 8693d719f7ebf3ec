import { eq, sql } from "drizzle-orm";
import type { Database } from "./client.ts";
import { serverSecret } from "./tables/people.ts";

/** The start was refused, because the database belongs to another SERVER_SECRET. */
export class ServerSecretMismatch extends Error {
  constructor() {
    super(
      "SERVER_SECRET is not the one that this database was used with. With this one, every API key would be unknown, and " +
        "encrypted data could not be read. Set the right one. If it is lost, set ADOPT_SERVER_SECRET=true for one start; " +
        "docs/reference/production.md says what is lost with it.",
    );
    this.name = "ServerSecretMismatch";
  }
}

const onlyRow = 1;

/**
 * Compares the check value of this server's secret with that of the database. The first server leaves its own there.
 * Answers whether a different secret was adopted. @throws ServerSecretMismatch
 */
export async function matchServerSecret(
  { orm }: Pick<Database, "orm">,
  { checkValue }: { checkValue: Buffer },
  { adoptServerSecret: adopt }: { adoptServerSecret: boolean },
): Promise<boolean> {
  await orm.insert(serverSecret).values({ id: onlyRow, checkValue }).onConflictDoNothing();
  const [known] = await orm.select().from(serverSecret).where(eq(serverSecret.id, onlyRow));
  if (known?.checkValue.equals(checkValue)) return false;
  if (!adopt) throw new ServerSecretMismatch();
  await orm.update(serverSecret).set({ checkValue, adoptedAt: sql`now()` }).where(eq(serverSecret.id, onlyRow));
  return true;
}
