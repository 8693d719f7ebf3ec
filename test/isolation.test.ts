import { randomBytes } from "node:crypto";
import { getNamedType, isInputObjectType, isRequiredArgument } from "graphql";
import { beforeAll, describe, expect, it } from "vitest";
import { dumpState } from "./harness/dump.ts";
import {
  callOf,
  declared,
  type Field,
  inputPaths,
  rootFields,
  schema,
  selectionOf,
  valueFor,
} from "./harness/schema-calls.ts";
import { type Credential, generate, useServer } from "./harness/server.ts";

/**
 * What keeps accounts apart, asked of every field that there is: an object of another account answers as one that is
 * not there (Z1), no edge leads out of an account (Z4), and no input sets what is not its caller's to set (Z5).
 */
const server = useServer();

type Kind = "acc" | "key" | "pln" | "quo" | "sec" | "ses" | "usr" | "wal";

/** One account with one of everything. Each text of it that an answer could hold has its mark in it. */
interface Side {
  mark: string;
  ids: Record<Kind, string>;
  member: Credential;
  program: Credential;
}

async function side(): Promise<Side> {
  const mark = `mark${randomBytes(6).toString("hex")}`;
  const { createAccount } = await server.ok(
    "mutation ($name: String!) { createAccount(input: { name: $name }) { id sharedWallet { id } } }",
    { name: mark },
  );
  const { createPlan } = await server.ok("mutation ($name: String!) { createPlan(input: { name: $name }) { id } }", {
    name: `plan ${mark}`,
  });
  const account = { id: createAccount.id, input: { planId: createPlan.id, memberKeysMax: 100 } };
  await server.ok(
    "mutation ($id: ID!, $input: UpdateAccountInput!) { updateAccount(id: $id, input: $input) { id } }",
    account,
  );
  const wallet = createAccount.sharedWallet.id;
  await server.ok("mutation ($input: GrantCreditsInput!) { grantCredits(input: $input) { id } }", {
    input: { walletId: wallet, credits: "100", reason: mark },
  });
  const { id: usr, token, email, password } = await server.person("MEMBER", createAccount.id);
  const member = { token };
  await server.login(email, password);
  const { mySessions } = await server.ok("{ mySessions { id current } }", {}, member);
  const session = mySessions.find((one: { current: boolean }) => !one.current);
  const made = await makeKey(member, mark);
  const program = { key: made.secret };
  await server.ok(generate, { input: { model: "echo", prompt: mark, tags: [mark], endUser: mark } }, program);
  await fetch(`${server.url}/healthz?key=${made.secret}`);
  const quote = await server.ok('{ quote(input: { model: "echo", prompt: "x" }) { quoteId } }', {}, program);
  const ids = {
    acc: createAccount.id,
    pln: createPlan.id,
    wal: wallet,
    ses: session.id,
    quo: quote.quote.quoteId,
    usr,
  };
  return { mark, ids: { ...ids, key: made.id, sec: made.secretId }, member, program };
}

/** By the MEMBER itself, who may change no other; with two secrets. */
async function makeKey(member: Credential, mark: string) {
  const input = { name: `key ${mark}`, tags: [mark], sharedWallet: true };
  const create = "mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { apiKey { id } } }";
  const { id } = (await server.ok(create, { input }, member)).createApiKey.apiKey;
  const update = "mutation ($id: ID!, $input: UpdateApiKeyInput!) { updateApiKey(id: $id, input: $input) { id } }";
  await server.ok(update, { id, input: { metadata: { note: mark } } });
  const rotate = "mutation ($id: ID!) { rotateApiKey(id: $id) { secret apiKey { secrets { id } } } }";
  const { secret, apiKey } = (await server.ok(rotate, { id }, member)).rotateApiKey;
  return { id: id as string, secret: secret as string, secretId: apiKey.secrets[1].id as string };
}

let mine: Side;
let theirs: Side;
beforeAll(async () => {
  [mine, theirs] = await Promise.all([side(), side()]);
});

const dayMs = 86_400_000;
const span = () => ({
  from: new Date(Date.now() - dayMs).toISOString(),
  to: new Date(Date.now() + dayMs).toISOString(),
});
const filtered = (field: string) => (id: string) => ({ input: { ...span(), filter: { [field]: [id] } } });
const say = { model: "echo", prompt: "x" };

/** What a field is given with an id at that place. `kept` says why its own account's id is refused as well. */
interface Case {
  kind: Kind;
  given: (id: string, ids: Record<Kind, string>) => object;
  kept?: string;
}

const byId = (kind: Kind): Case => ({ kind, given: (id) => ({ id }) });
const cases: Record<string, Case> = {
  "alerts.filter.accountId": { kind: "acc", given: (accountId) => ({ filter: { accountId } }) },
  "apiKey.id": byId("key"),
  "apiKeys.filter.accountId": { kind: "acc", given: (accountId) => ({ filter: { accountId } }) },
  "apiKeys.filter.createdBy": { kind: "usr", given: (createdBy) => ({ filter: { createdBy } }) },
  "apiKeys.filter.planId": { kind: "pln", given: (planId) => ({ filter: { planId } }) },
  "createApiKey.input.accountId": {
    kind: "acc",
    given: (accountId) => ({ input: { name: "n", sharedWallet: true, accountId } }),
  },
  "createApiKey.input.planId": {
    kind: "pln",
    given: (planId) => ({ input: { name: "n", sharedWallet: true, planId } }),
    kept: "FORBIDDEN",
  },
  "creditEntries.walletId": { kind: "wal", given: (walletId) => ({ walletId }) },
  "denials.input.filter.accountIds": { kind: "acc", given: filtered("accountIds") },
  "denials.input.filter.apiKeyIds": { kind: "key", given: filtered("apiKeyIds") },
  "disableApiKey.id": byId("key"),
  "endSecret.id": { kind: "key", given: (id, { sec: secretId }) => ({ id, secretId }) },
  "endSecret.secretId": { kind: "sec", given: (secretId, { key: id }) => ({ id, secretId }) },
  "endSession.id": byId("ses"),
  "generate.input.quoteId": { kind: "quo", given: (quoteId) => ({ input: { ...say, quoteId } }) },
  "generateStream.input.quoteId": { kind: "quo", given: (quoteId) => ({ input: { ...say, quoteId } }) },
  "generations.filter.accountId": { kind: "acc", given: (accountId) => ({ filter: { accountId } }) },
  "generations.filter.apiKeyId": { kind: "key", given: (apiKeyId) => ({ filter: { apiKeyId } }) },
  "quote.input.quoteId": { kind: "quo", given: (quoteId) => ({ input: { ...say, quoteId } }) },
  "revokeApiKey.id": byId("key"),
  "rotateApiKey.id": byId("key"),
  "topKeys.input.filter.accountIds": { kind: "acc", given: filtered("accountIds") },
  "topKeys.input.filter.apiKeyIds": { kind: "key", given: filtered("apiKeyIds") },
  "topModels.input.filter.accountIds": { kind: "acc", given: filtered("accountIds") },
  "topModels.input.filter.apiKeyIds": { kind: "key", given: filtered("apiKeyIds") },
  "updateApiKey.id": { kind: "key", given: (id) => ({ id, input: { name: "n" } }) },
  "updateApiKey.input.planId": {
    kind: "pln",
    given: (planId, { key: id }) => ({ id, input: { planId } }),
    kept: "FORBIDDEN",
  },
  "usage.input.filter.accountIds": { kind: "acc", given: filtered("accountIds") },
  "usage.input.filter.apiKeyIds": { kind: "key", given: filtered("apiKeyIds") },
  "usageTimeline.input.filter.accountIds": {
    kind: "acc",
    given: (id) => ({ input: { ...span(), grain: "DAY", filter: { accountIds: [id] } } }),
  },
  "usageTimeline.input.filter.apiKeyIds": {
    kind: "key",
    given: (id) => ({ input: { ...span(), grain: "DAY", filter: { apiKeyIds: [id] } } }),
  },
  "walletForecast.walletId": { kind: "wal", given: (walletId) => ({ walletId }) },
};
/** A feed has no answer to compare: feed.test.ts waits for what it must not tell. */
const elsewhere = ["generationFeed.filter.accountId", "generationFeed.filter.apiKeyId"];

/** Whoever sees one account only may call it, as a person or with a key. */
const narrow = rootFields.filter(({ field }) =>
  [declared(field, "role") === "MEMBER", declared(field, "scope"), declared(field, "authenticated") !== undefined].some(
    Boolean,
  ),
);

function callersOf(field: Field, { member, program }: Side): Credential[] {
  if (declared(field, "role") !== undefined) return [member];
  return ["generate", "embed"].includes(declared(field, "scope") ?? "") ? [program] : [member, program];
}

/** How many fields deep: to a list's objects, and from there along every edge and back to where it began. */
const [shallow, deep] = [3, 5];

/** An operation with all of a field's arguments that a case gives, and what can be asked of its answer. */
function operationFor(type: string, { name, args, type: answers }: Field, variables: object, depth: number): string {
  const given = args.filter((arg) => arg.name in variables);
  const declarations = given.map((arg) => `$${arg.name}: ${arg.type}`).join(", ");
  const values = given.map((arg) => `${arg.name}: $${arg.name}`).join(", ");
  const inBrackets = (text: string) => (text ? `(${text})` : "");
  return `${type} ${inBrackets(declarations)} { ${name}${inBrackets(values)} ${selectionOf(answers, depth)} }`;
}

async function ask(query: string, variables: object, { token, key }: Credential): Promise<string> {
  const headers = { "content-type": "application/json", ...(key && { "x-api-key": key }) };
  const response = await fetch(`${server.url}/graphql${query.startsWith("subscription") ? "/stream" : ""}`, {
    method: "POST",
    headers: { ...headers, ...(token && { authorization: `Bearer ${token}` }) },
    body: JSON.stringify({ query, variables }),
  });
  return `${response.status} ${await response.text()}`;
}

const absent: Record<Kind, () => string> = {
  ...(Object.fromEntries(
    ["acc", "key", "pln", "sec", "ses", "usr", "wal"].map((kind) => [
      kind,
      () => `${kind}_${randomBytes(16).toString("hex")}`,
    ]),
  ) as Record<Exclude<Kind, "quo">, () => string>),
  quo: () => `quo_${randomBytes(120).toString("base64url")}`,
};

/** Without what differs between any two answers: the id that was asked for, the request's own, and times. */
const plain = (answer: string, id: string) =>
  answer
    .replaceAll(id, "ID")
    .replace(/"requestId":"[^"]+"/g, "")
    .replace(/quo_[\w-]+/g, "QUOTE")
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "TIME");

describe("an object of another account (Z1)", () => {
  it("has a case for each place where whoever sees one account may name one", () => {
    const places = narrow.flatMap(({ field }) =>
      inputPaths(field.args, ({ type }) => getNamedType(type).name === "ID").map((path) => `${field.name}.${path}`),
    );
    expect(places.toSorted()).toEqual([...Object.keys(cases), ...elsewhere].toSorted());
  });

  it.each(Object.entries(cases))("%s answers as for one that is not there, and nothing moves", async (place, of) => {
    const { kind, given, kept } = of;
    const { type, field } = narrow.find(({ field }) => place.startsWith(`${field.name}.`)) as (typeof narrow)[number];
    const operation = (type?.name ?? "").toLowerCase();
    const before = operation === "mutation" && (await dumpState(server.database));
    for (const as of callersOf(field, mine)) {
      const answers = [];
      for (const id of [theirs.ids[kind], absent[kind]()]) {
        const variables = given(id, mine.ids);
        answers.push(plain(await ask(operationFor(operation, field, variables, shallow), variables, as), id));
      }
      expect(answers[0]).toBe(answers[1]);
      expect(answers[0]).not.toContain(theirs.mark);
      expect(answers[0]).not.toMatch(/"code":"(?:BAD_USER_INPUT|INTERNAL)"/);
    }
    if (before) expect(await dumpState(server.database)).toEqual(before);
    // That it answers otherwise for one's own shows that the id was what decided.
    const fresh = await makeKey(mine.member, mine.mark);
    const ids = { ...mine.ids, key: fresh.id, sec: fresh.secretId };
    const variables = given(["key", "sec"].includes(kind) ? ids[kind] : mine.ids[kind], ids);
    const [as] = callersOf(field, mine);
    const own = await ask(operationFor(operation, field, variables, shallow), variables, as as Credential);
    if (kept) expect(own).toContain(kept);
    else expect(own).not.toContain('"errors"');
  });
});

describe("edges (Z4)", () => {
  const needed: Record<string, () => object> = {
    apiKey: () => ({ id: mine.ids.key }),
    creditEntries: () => ({ walletId: mine.ids.wal }),
    quote: () => ({ input: say }),
    usageTimeline: () => ({ input: { ...span(), grain: "DAY" } }),
    walletForecast: () => ({ walletId: mine.ids.wal }),
    ...Object.fromEntries(
      ["usage", "topKeys", "topModels", "denials"].map((name) => [name, () => ({ input: span() })]),
    ),
  };
  const queries = narrow.filter(({ type }) => type === schema.getQueryType());

  async function crawl(callers: (field: Field) => Credential[]): Promise<string> {
    const answers: string[] = [];
    for (const { field } of queries) {
      const variables = needed[field.name]?.() ?? {};
      for (const as of callers(field)) {
        const answer = await ask(operationFor("query", field, variables, deep), variables, as);
        expect(answer, field.name).toMatch(/^200 (?!.*"errors")/);
        answers.push(answer);
      }
    }
    return answers.join("\n");
  }

  it("are followed from every query that whoever sees one account may send", () => {
    const unasked = queries.filter(({ field }) => field.args.some(isRequiredArgument) && !needed[field.name]);
    expect(unasked.map(({ field }) => field.name)).toEqual([]);
  });

  it("lead a MEMBER and a key to everything of their account and nothing of another", async () => {
    const seen = await crawl((field) => callersOf(field, mine));
    const { acc, key, pln, sec, wal } = mine.ids;
    for (const text of [mine.mark, acc, key, pln, sec, wal]) expect(seen).toContain(text);
    for (const text of [theirs.mark, ...Object.values(theirs.ids)]) expect(seen).not.toContain(text);
  });

  it("lead an ANALYST to both, so that the walk above proves something", async () => {
    const { token } = await server.staff("ANALYST");
    const seen = await crawl((field) =>
      ["generate", "embed"].includes(declared(field, "scope") ?? "") ? [] : [{ token }],
    );
    for (const { mark, ids } of [mine, theirs]) {
      for (const text of [mark, ids.acc, ids.key, ids.pln, ids.sec, ids.wal]) expect(seen).toContain(text);
    }
  });
});

describe("mass assignment (Z5)", () => {
  const mutations = rootFields.filter(({ type }) => type === schema.getMutationType()).map(({ field }) => field);
  const ofTheServer =
    /^(?:role|balance|held|available|version|createdAt|changedAt|createdBy|lastUsedAt|exposedAt|status|prefix|last4|digest|hash|disabledAt|issuer|subject|actor|isOperator|expired)$/;

  it("is offered by no input but those that are there for it", () => {
    const offered = mutations.flatMap((field) =>
      inputPaths(field.args, ({ name }) => ofTheServer.test(name)).map((path) => `${field.name}.${path}`),
    );
    expect(offered.toSorted()).toEqual([
      "createUser.input.role",
      "generate.input.messages.role",
      "importModels.input.prefix",
      "setUserRole.role",
    ]);
  });

  it("is refused by every mutation, whoever asks", async () => {
    const before = await dumpState(server.database);
    let asked = 0;
    for (const field of mutations) {
      const { query, variables } = callOf(field, "mutation");
      for (const arg of field.args.filter(({ type }) => isInputObjectType(getNamedType(type)))) {
        for (const [name, value] of Object.entries({
          role: "OWNER",
          createdAt: "2020-01-01T00:00:00Z",
          balance: "1",
        })) {
          if (inputPaths([arg], (input) => input.name === name).includes(`${arg.name}.${name}`)) continue;
          const input = { ...(valueFor(arg.type) as object), [name]: value };
          const { message } = await server.refused("BAD_USER_INPUT", query, { ...variables, [arg.name]: input });
          expect(message).toContain(`"${name}" is not defined`);
          asked += 1;
        }
      }
    }
    expect(asked).toBeGreaterThan(60);
    expect(await dumpState(server.database)).toEqual(before);
  });
});
