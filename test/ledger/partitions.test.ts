import { describe, expect, it } from "vitest";
import { useServer } from "../harness/server.ts";
import { settlePast } from "../harness/traffic.ts";

const server = useServer();

describe("partitions of the ledger", () => {
  it("are made ahead, and take over what fell into the default partition", async () => {
    const { sql } = server.database;
    const customer = await server.customer();
    const now = new Date();
    const month = (ahead: number) => new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + ahead, 1));
    const nameOf = (at: Date) => `requests_${at.toISOString().slice(0, 7).replace("-", "")}`;
    const [first = "", second = ""] = await settlePast(server, customer, [{ at: month(3) }, { at: month(5) }]);
    const placeOf = async (id: string) => {
      const [row] = await sql`select tableoid::regclass::text as place from requests where id = ${id}`;
      return row?.["place"];
    };
    expect([await placeOf(first), await placeOf(second)]).toEqual(["requests_default", "requests_default"]);

    await Promise.all([sql`select create_request_partitions(3)`, sql`select create_request_partitions(3)`]);
    expect([await placeOf(first), await placeOf(second)]).toEqual([nameOf(month(3)), "requests_default"]);
    await sql`select create_request_partitions(3)`;

    const valid = await sql`select count(*)::int as n from pg_index i join pg_class c on c.oid = i.indrelid
      where c.relname = 'requests' and not i.indisvalid`;
    expect(valid[0]).toEqual({ n: 0 });
    const indexes = async (table: string) =>
      (await sql`select count(*)::int as n from pg_indexes where tablename = ${table}`)[0]?.["n"];
    expect(await indexes(nameOf(month(3)))).toBe(await indexes(nameOf(month(0))));
    expect(await indexes("requests")).toBe(await indexes(nameOf(month(3))));
  });
});
