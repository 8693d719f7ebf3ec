import { createHash } from "node:crypto";
import { afterEach, describe, expect, it } from "vitest";
import { checkLines } from "../../src/audit/export.ts";
import { useServer } from "../harness/server.ts";

const server = useServer();
const events = `query ($filter: AuditFilter, $first: Int, $after: String) {
  auditEvents(filter: $filter, first: $first, after: $after) {
    nodes { id seq createdAt actor ip requestId action object before after hash previousHash }
    pageInfo { hasNextPage endCursor }
  }
}`;
const verify = "{ verifyAudit { intact verified fault } }";
const verifyFrom = "query ($anchor: String) { verifyAudit(anchor: $anchor) { intact verified fault anchor } }";
const rotate = "mutation ($id: ID!) { rotateApiKey(id: $id, overlapSeconds: 60) { secret } }";
const rename = `mutation ($id: ID!) { updateApiKey(id: $id, input: { name: "renamed" }) { id } }`;
const revoke = "mutation ($id: ID!) { revokeApiKey(id: $id) { id } }";

interface Page {
  nodes: { seq: number }[];
  pageInfo: { hasNextPage: boolean; endCursor: string | null };
}

async function of(object: string) {
  return (await server.ok(events, { filter: { object } })).auditEvents.nodes;
}

describe("auditEvents", () => {
  it("tells who changed what of a key, from where, and what it was before", async () => {
    const { apiKeyId } = await server.customer();
    const operator = await server.person("OPERATOR");
    await server.ok(rename, { id: apiKeyId }, { token: operator.token });
    await server.ok(rotate, { id: apiKeyId }, { token: operator.token });
    const answer = await server.call(revoke, { id: apiKeyId }, { token: server.ownerToken });
    const found = await of(apiKeyId);
    expect(found.map(({ action }: { action: string }) => action)).toEqual([
      "key.revoke",
      "key.rotate",
      "key.update",
      "key.create",
    ]);
    const [revoked, rotated, updated, created] = found;
    const actor = `user:${operator.id.slice(4).replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-")}`;
    expect(updated).toMatchObject({ actor, before: { name: "a key", version: 1 }, after: { name: "renamed" } });
    expect(rotated).toMatchObject({ actor, after: { overlapSeconds: 60 } });
    expect(created).toMatchObject({ before: null, after: { name: "a key", credits: "100" } });
    expect(revoked).toMatchObject({ before: { status: "ACTIVE" }, after: { status: "REVOKED" } });
    expect(revoked.ip).toMatch(/^(127\.0\.0\.1|::1)$/);
    expect(revoked.requestId).toBe(answer.headers.get("x-request-id"));
  });

  it("holds no secret", async () => {
    const { apiKeyId, key } = await server.customer();
    const { secret } = (await server.ok(rotate, { id: apiKeyId })).rotateApiKey;
    const rows = await server.database.sql`select row_to_json(e)::text as text from audit_events e`;
    const [hash] = await server.database.sql`select hash from key_secrets where last4 = ${key.slice(-4)}`;
    for (const text of [key, secret, hash?.["hash"]]) {
      expect(rows.filter((row) => row["text"].includes(text))).toHaveLength(0);
    }
  });

  it("writes nothing for a change that was refused", async () => {
    const { apiKeyId } = await server.customer();
    const wrong = `mutation ($id: ID!) { updateApiKey(id: $id, input: { expiresAt: "2020-01-01T00:00:00Z" }) { id } }`;
    await server.refused("BAD_USER_INPUT", wrong, { id: apiKeyId });
    expect(await of(apiKeyId)).toHaveLength(1);
  });

  it("pages without gap or double", async () => {
    const { apiKeyId } = await server.customer();
    for (let i = 0; i < 4; i++) await server.ok(rename, { id: apiKeyId });
    const seen: number[] = [];
    for (let after: string | null = null; ; ) {
      const page: Page = (await server.ok(events, { filter: { object: apiKeyId }, first: 2, after })).auditEvents;
      seen.push(...page.nodes.map(({ seq }) => seq));
      if (!page.pageInfo.hasNextPage) break;
      after = page.pageInfo.endCursor;
    }
    expect(seen).toEqual([...new Set(seen)].toSorted((a, b) => b - a));
    expect(seen).toHaveLength(5);
  });

  it("is for ANALYST and above", async () => {
    const { key, accountId } = await server.customer();
    const member = await server.person("MEMBER", accountId);
    for (const query of [events, verify]) {
      await server.refused("FORBIDDEN", query, {}, { key });
      await server.refused("FORBIDDEN", query, {}, { token: member.token });
      await server.refused("UNAUTHENTICATED", query, {}, {});
    }
  });
});

describe("the chain", () => {
  it("can be checked by anyone from what auditEvents tells, with SHA-256 and JSON alone", async () => {
    const { apiKeyId, accountId } = await server.customer();
    await server.ok(rename, { id: apiKeyId });
    for (const event of await of(apiKeyId)) {
      const { previousHash, seq, createdAt, actor, ip, requestId, action, object, before, after } = event;
      const uuid = (wire: string) => wire.slice(4).replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
      const fields = [previousHash, String(seq), uuid(event.id), createdAt, actor, ip, requestId, action, object];
      const text = JSON.stringify([...fields, uuid(accountId), before, after]);
      expect(createHash("sha256").update(text).digest("hex")).toBe(event.hash);
    }
  });

  it("has no gap when many change things at once", async () => {
    const customers = await Promise.all(Array.from({ length: 10 }, () => server.customer()));
    await Promise.all(customers.flatMap(({ apiKeyId: id }) => [server.ok(rename, { id }), server.ok(rotate, { id })]));
    const { verifyAudit } = await server.ok(verify);
    expect(verifyAudit).toMatchObject({ intact: true, fault: null });
    expect(verifyAudit.verified).toBeGreaterThanOrEqual(30);
  });
});

describe("audit_events", () => {
  it.each(["update audit_events set actor = 'nobody'", "delete from audit_events", "truncate audit_events"])(
    "refuses `%s`",
    async (statement) => {
      await server.customer();
      await expect(server.database.sql.unsafe(statement)).rejects.toThrow("append-only");
    },
  );
});

describe("verifyAudit", () => {
  const repairs: string[] = [];
  afterEach(async () => {
    for (const repair of repairs.splice(0)) await tamper(repair);
    expect((await server.ok(verify)).verifyAudit.intact).toBe(true);
  });

  /** As someone who owns the database could: the trigger is switched off first. */
  function tamper(statement: string) {
    return server.database.sql.begin((sql) => [
      sql`set local session_replication_role = replica`,
      sql.unsafe(statement),
    ]);
  }

  async function threeEvents(): Promise<number> {
    const { apiKeyId } = await server.customer();
    await server.ok(rename, { id: apiKeyId });
    await server.ok(rename, { id: apiKeyId });
    return (await of(apiKeyId))[0].seq;
  }

  it("finds an altered event", async () => {
    const last = await threeEvents();
    const [row] = await server.database.sql`select actor from audit_events where seq = ${last - 1}`;
    await tamper(`update audit_events set actor = 'user:someone-else' where seq = ${last - 1}`);
    repairs.push(`update audit_events set actor = '${row?.["actor"]}' where seq = ${last - 1}`);
    expect((await server.ok(verify)).verifyAudit).toEqual({
      intact: false,
      verified: last - 2,
      fault: `event ${last - 1} was altered`,
    });
  });

  it("finds a removed event", async () => {
    const last = await threeEvents();
    await tamper(`create table kept as select * from audit_events where seq = ${last - 1}`);
    await tamper(`delete from audit_events where seq = ${last - 1}`);
    repairs.push("insert into audit_events select * from kept", "drop table kept");
    expect((await server.ok(verify)).verifyAudit.fault).toBe(`event ${last - 1} is missing`);
  });

  it("finds two events that changed places", async () => {
    const last = await threeEvents();
    await tamper(`update audit_events set seq = -1 where seq = ${last}`);
    await tamper(`update audit_events set seq = ${last} where seq = ${last - 1}`);
    await tamper(`update audit_events set seq = ${last - 1} where seq = -1`);
    repairs.push(
      `update audit_events set seq = -1 where seq = ${last}`,
      `update audit_events set seq = ${last} where seq = ${last - 1}`,
      `update audit_events set seq = ${last - 1} where seq = -1`,
    );
    expect((await server.ok(verify)).verifyAudit.fault).toBe(`event ${last - 1} does not follow event ${last - 2}`);
  });

  it("finds that the last events were cut off, also when the end of the chain was made to fit", async () => {
    const last = await threeEvents();
    const [head] = await server.database.sql`select seq, hash, seal from audit_head`;
    const [before] = await server.database.sql`select hash from audit_events where seq = ${last - 1}`;
    await tamper(`create table kept as select * from audit_events where seq >= ${last}`);
    await tamper(`delete from audit_events where seq >= ${last}`);
    await tamper(`update audit_head set seq = ${last - 1}, hash = '${before?.["hash"]}'`);
    repairs.push(
      "insert into audit_events select * from kept",
      "drop table kept",
      `update audit_head set seq = ${head?.["seq"]}, hash = '${head?.["hash"]}', seal = '${head?.["seal"]}'`,
    );
    expect((await server.ok(verify)).verifyAudit.intact).toBe(false);
  });

  it("finds a chain that was made anew from an altered event on, with hashes that fit", async () => {
    const last = await threeEvents();
    const [head] = await server.database.sql`select seq, hash, seal from audit_head`;
    await tamper("create table kept as select * from audit_events");
    let previous = "";
    for (const row of await server.database.sql`select * from audit_events where seq >= ${last - 1} order by seq`) {
      const { seq, id, created_at, ip, http_request_id, action, object, account_id, before, after } = row;
      previous ||= row["previous_hash"];
      const fields = [
        String(seq),
        id,
        created_at.toISOString(),
        "user:someone-else",
        ip,
        http_request_id,
        action,
        object,
      ];
      const hash = createHash("sha256")
        .update(JSON.stringify([previous, ...fields, account_id, before, after]))
        .digest("hex");
      await tamper(
        `update audit_events set actor = 'user:someone-else', previous_hash = '${previous}', hash = '${hash}' where seq = ${seq}`,
      );
      previous = hash;
    }
    await tamper(`update audit_head set hash = '${previous}'`);
    repairs.push(
      "delete from audit_events",
      "insert into audit_events select * from kept",
      "drop table kept",
      `update audit_head set hash = '${head?.["hash"]}'`,
    );
    expect((await server.ok(verify)).verifyAudit.fault).toBe("the end of the chain is not as it was sealed");
  });

  it("goes on from an anchor that was kept, and finds that the chain is another one", async () => {
    await threeEvents();
    const { anchor, intact } = (await server.ok(verifyFrom)).verifyAudit;
    expect(intact).toBe(true);
    await threeEvents();
    expect((await server.ok(verifyFrom, { anchor })).verifyAudit).toMatchObject({ intact: true, fault: null });
    const [seq] = anchor.split(":");
    const other = `${seq}:${"0".repeat(64)}`;
    expect((await server.ok(verifyFrom, { anchor: other })).verifyAudit).toEqual({
      intact: false,
      verified: 0,
      fault: `event ${seq} is not the one of the anchor`,
      anchor: null,
    });
    const ahead = `999999:${"0".repeat(64)}`;
    expect((await server.ok(verifyFrom, { anchor: ahead })).verifyAudit.intact).toBe(false);
    for (const wrong of ["", "1", "1:x", `-1:${"0".repeat(64)}`]) {
      await server.refused("BAD_USER_INPUT", verifyFrom, { anchor: wrong });
    }
    expect(server.logLines.some((line) => /"anchor":"\d+:[0-9a-f]{64}"/.test(line))).toBe(true);
  });

  it("finds that the last event is gone", async () => {
    const last = await threeEvents();
    await tamper(`create table kept as select * from audit_events where seq = ${last}`);
    await tamper(`delete from audit_events where seq = ${last}`);
    repairs.push("insert into audit_events select * from kept", "drop table kept");
    expect((await server.ok(verify)).verifyAudit.fault).toBe("the last events are missing");
  });
});

describe("GET /export/audit.jsonl", () => {
  const get = (query: string, as: Record<string, string>) =>
    fetch(`${server.url}/export/audit.jsonl${query}`, { headers: as });
  const owner = () => ({ authorization: `Bearer ${server.ownerToken}` });
  async function* linesOf(text: string) {
    yield* text.split("\n");
  }

  it("streams the chain so that it can be checked offline, whole or from an event on", async () => {
    const { apiKeyId } = await server.customer();
    await server.ok(rename, { id: apiKeyId });
    const answer = await get("", owner());
    expect(answer.headers.get("content-type")).toContain("jsonl");
    const text = await answer.text();
    const { anchor } = (await server.ok(verifyFrom)).verifyAudit;
    const whole = await checkLines(linesOf(text));
    expect(whole.fault).toBeNull();
    expect(`${whole.end?.seq}:${whole.end?.hash}`).toBe(anchor);
    expect(JSON.parse(text.split("\n")[0] ?? "")).toMatchObject({ seq: "1", previousHash: "0".repeat(64) });
    const rest = await (await get(`?after=${whole.verified - 2}`, owner())).text();
    expect(rest).toBe(`${text.trimEnd().split("\n").slice(-2).join("\n")}\n`);
    expect(await checkLines(linesOf(rest))).toMatchObject({ verified: 2, fault: null });
  });

  it("shows in the file what was altered, removed or moved", async () => {
    await server.customer();
    const lines = (await (await get("", owner())).text()).trimEnd().split("\n");
    const [first = "", second = "", third = ""] = lines;
    const changed = second.replace(/"actor":"[^"]*"/, '"actor":"user:nobody"');
    const faults = [[first, changed], [first, third], [first, third, second], [first, "{}"], ["not JSON"]];
    for (const file of faults) expect((await checkLines(linesOf(file.join("\n")))).fault).not.toBeNull();
    expect((await checkLines(linesOf([first, second, third].join("\n")))).fault).toBeNull();
  });

  it("is for ANALYST and above, and knows its parameters", async () => {
    const { key } = await server.customer();
    const { token } = await server.staff("ANALYST");
    expect((await get("", { "x-api-key": key })).status).toBe(403);
    expect((await get("", {})).status).toBe(401);
    expect((await get("", { authorization: `Bearer ${token}` })).status).toBe(200);
    for (const query of ["?after=x", "?after=-1", "?before=1", "?after=1&after=2"]) {
      expect((await get(query, owner())).status).toBe(400);
    }
  });
});

describe("a chain whose end was tampered with", () => {
  it("says so for ever in its next event, so that going on does not cover it up", async () => {
    const { anchor } = (await server.ok(verifyFrom)).verifyAudit;
    const last = BigInt(anchor.split(":")[0]);
    await server.database.sql`update audit_head set seal = ${"0".repeat(64)}`;
    await server.customer();
    const [event] = await server.database.sql`
      select actor, action, after from audit_events where seq = ${String(last + 1n)}`;
    expect(event).toMatchObject({ actor: "system:audit", action: "audit.broken" });
    const found = (await server.ok(verify)).verifyAudit;
    expect(found).toMatchObject({ intact: false, fault: `event ${last + 1n} says that the chain was cut before it` });
    const { hash } =
      (await server.database.sql`select hash from audit_events where seq = ${String(last + 1n)}`)[0] ?? {};
    expect((await server.ok(verifyFrom, { anchor: `${last + 1n}:${hash}` })).verifyAudit.intact).toBe(true);
  });
});
