import { randomBytes } from "node:crypto";
import { type Command, Option } from "commander";
import { printObject, printRows } from "../print.ts";
import type { CommandSession, CommandTools } from "../session.ts";

const roles = ["OWNER", "ADMIN", "OPERATOR", "ANALYST", "MEMBER"];
const newPassword = () => randomBytes(15).toString("base64url");

export function addPeopleCommands(program: Command, session: CommandSession): void {
  const users = program.command("users").description("create, list, disable, enable or unlock users; reset passwords");
  addCreate(users, session);
  addList(users, session);
  addReset(users, session);
  for (const [verb, does] of [
    ["disable", "disable a user: block sign-in and end all sessions"],
    ["enable", "re-enable a disabled user"],
    ["unlock", "unlock a user after failed sign-ins"],
  ] as const) {
    users
      .command(`${verb} <who>`)
      .description(`${does}; by id or email`)
      .addHelpText("after", `\nExample:\n  tollgate users ${verb} finance@example.com`)
      .action((who: string) =>
        session(async (tools) => {
          const operation = `${verb}User`;
          const change = `mutation ($id: ID!) { ${operation}(userId: $id) { id email role disabledAt lockedUntil } }`;
          printObject(tools.output, (await tools.run(change, { id: await idOf(who, tools) }))[operation]);
        }),
      );
  }
  addSessions(program, session);
  addSigningKeys(program, session);
}

function addCreate(users: Command, session: CommandSession): void {
  users
    .command("create <email>")
    .description("create a user with a generated password; it is shown only once")
    .addOption(new Option("--role <role>", "role of the user").choices(roles).makeOptionMandatory())
    .option("--name <name>", "display name (default: none)")
    .option("--account <id>", "account id (acc_…); required for a MEMBER")
    .addHelpText("after", "\nExample:\n  tollgate users create finance@example.com --role ANALYST")
    .action((email: string, { account, ...rest }: { role: string; name?: string; account?: string }) =>
      session(async ({ run, output }) => {
        const password = newPassword();
        const create = "mutation ($input: CreateUserInput!) { createUser(input: $input) { id email role } }";
        const { createUser } = await run(create, { input: { email, password, accountId: account, ...rest } });
        printObject(output, { ...createUser, password });
      }),
    );
}

function addList(users: Command, session: CommandSession): void {
  users
    .command("list")
    .description("list users, newest first, at most 100")
    .option("--search <text>", "only users whose email or name contains this text")
    .addOption(new Option("--role <role>", "only users with this role").choices(roles))
    .addHelpText("after", "\nExample:\n  tollgate users list --role OWNER")
    .action((filter: { search?: string; role?: string }) =>
      session(async ({ run, output }) => {
        const columns = ["id", "email", "role", "issuer", "disabledAt", "lockedUntil"];
        const list = `query ($filter: UserFilter) { users(filter: $filter, first: 100) { nodes { ${columns.join(" ")} } } }`;
        printRows(output, (await run(list, { filter })).users.nodes, columns);
      }),
    );
}

function addReset(users: Command, session: CommandSession): void {
  users
    .command("reset-password <who>")
    .description("set a generated password, shown only once, and end all sessions of a user; by id or email")
    .addHelpText("after", "\nExample:\n  tollgate users reset-password owner@example.com")
    .action((who: string) =>
      session(async (tools) => {
        const password = newPassword();
        const reset = `mutation ($id: ID!, $password: String!) {
          resetPassword(userId: $id, newPassword: $password) { id email role }
        }`;
        const { resetPassword } = await tools.run(reset, { id: await idOf(who, tools), password });
        printObject(tools.output, { ...resetPassword, password });
      }),
    );
}

function addSessions(program: Command, session: CommandSession): void {
  const sessions = program.command("sessions").description("list or end sign-in sessions");
  sessions
    .command("list <who>")
    .description("list the sessions of a user, newest first; by id or email")
    .addHelpText("after", "\nExample:\n  tollgate sessions list finance@example.com")
    .action((who: string) =>
      session(async (tools) => {
        const columns = ["id", "createdAt", "ip", "lastUsedAt", "lastUsedFrom", "userAgent"];
        const list = `query ($id: ID!) { userSessions(userId: $id) { ${columns.join(" ")} } }`;
        printRows(tools.output, (await tools.run(list, { id: await idOf(who, tools) })).userSessions, columns);
      }),
    );
  sessions
    .command("end <id>")
    .description("end one session (ses_…), or all sessions of a user (usr_… or an email)")
    .addHelpText("after", "\nExample:\n  tollgate sessions end finance@example.com")
    .action((id: string) =>
      session(async (tools) => {
        if (id.startsWith("ses_")) {
          await tools.run("mutation ($id: ID!) { endSession(id: $id) { id } }", { id });
          return printObject(tools.output, { ended: 1 });
        }
        const end = "mutation ($id: ID!) { endUserSessions(userId: $id) }";
        printObject(tools.output, { ended: (await tools.run(end, { id: await idOf(id, tools) })).endUserSessions });
      }),
    );
}

function addSigningKeys(program: Command, session: CommandSession): void {
  const keys = program.command("signing-keys").description("list, rotate or remove the keys that sign access tokens");
  const columns = ["kid", "status", "createdAt", "signsFrom", "endsAt"];
  const shown = `{ ${columns.join(" ")} }`;
  keys
    .command("list")
    .description("list the keys whose tokens are accepted")
    .addHelpText("after", "\nExample:\n  tollgate signing-keys list")
    .action(() =>
      session(async ({ run, output }) => {
        printRows(output, (await run(`{ signingKeys ${shown} }`)).signingKeys, columns);
      }),
    );
  keys
    .command("rotate")
    .description(
      "create a new signing key; it signs after one minute, and tokens of the old key stay valid until they expire",
    )
    .option("--immediately", "sign with the new key at once (default: after one minute)")
    .addHelpText("after", "\nExample:\n  tollgate signing-keys rotate")
    .action(({ immediately = false }: { immediately?: boolean }) =>
      session(async ({ run, output }) => {
        const rotate = `mutation ($now: Boolean!) { rotateSigningKey(immediately: $now) ${shown} }`;
        printRows(output, (await run(rotate, { now: immediately })).rotateSigningKey, columns);
      }),
    );
  keys
    .command("remove <kid>")
    .description("remove a leaked signing key; its access tokens are refused at once")
    .addHelpText("after", "\nExample:\n  tollgate signing-keys remove jjYyGx6GCd0J0P0Yk1Kq0CqT3bZ1o7p8wXv9rQ2sLmE")
    .action((kid: string) =>
      session(async ({ run, output }) => {
        const remove = `mutation ($kid: ID!) { removeSigningKey(kid: $kid) ${shown} }`;
        printRows(output, (await run(remove, { kid })).removeSigningKey, columns);
      }),
    );
}

/** The id itself, or the id of the user who signs in with this email and a password. */
async function idOf(who: string, { run, refuse }: Pick<CommandTools, "run" | "refuse">): Promise<string> {
  if (who.startsWith("usr_")) return who;
  const list = "query ($filter: UserFilter) { users(filter: $filter, first: 100) { nodes { id email issuer } } }";
  const { nodes } = (await run(list, { filter: { search: who } })).users;
  const found = nodes.find(
    ({ email, issuer }: { email: string; issuer: string | null }) => issuer === null && email === who.toLowerCase(),
  );
  return found?.id ?? refuse("NOT_FOUND", "No such user.");
}
