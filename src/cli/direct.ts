import type { Writable } from "node:stream";
import { type ExecutionResult, graphql } from "graphql";
import { openOwnFeatures, prepare } from "../app.ts";
import { formatLines } from "../audit/export.ts";
import { operatorContext, systemOrigin } from "../auth/viewer.ts";
import type { Config } from "../config/environment.ts";
import { openDatabases } from "../db/open.ts";
import { AppError } from "../errors.ts";
import { describeFirstRun } from "../first-run.ts";
import { Loaders } from "../graphql/loaders.ts";
import { newId } from "../ids.ts";
import type { Logger } from "../log.ts";
import { type Answer, type CommandConnection, dataOf, Refused } from "./connection.ts";

/**
 * Runs the services on the database, for its operator, with or without a running server. Operations have every
 * permission, and the audit records the actor `system:cli`.
 */
export async function connectDirect(config: Config, log: Logger, err: Writable): Promise<CommandConnection> {
  const databases = await openDatabases(config, log, { joins: true });
  const features = await openOwnFeatures({ config, log, ...databases }).catch(async (error: unknown) => {
    await databases.close();
    throw error;
  });
  const close = async () => {
    await features.limiting.close();
    await features.models.providers.close();
    await databases.close();
  };
  const firstRun = await prepare(config, databases.db, features).catch(async (error: unknown) => {
    await close();
    throw error;
  });
  // On standard error, because a script may read the output of the command.
  if (firstRun) err.write(describeFirstRun(firstRun, config.publicUrl ?? `http://localhost:${config.port}`));
  const contextOf = () => ({ ...operatorContext(newId()), loaders: new Loaders() });
  const { schema } = features;
  return {
    run: async (source, variableValues = {}) =>
      dataOf(
        withCodes(await graphql({ schema, source, variableValues: { ...variableValues }, contextValue: contextOf() })),
      ),
    examine: () => features.ledger.doctor.examine(),
    grantBi: (limits) => features.usage.bi.grant(systemOrigin("cli"), limits).catch(asRefused),
    exportAudit: (after) => formatLines(features.audit.audit.pagesAfter(BigInt(after))),
    close,
  };
}

/** Without a server, the error codes are not in the answer yet but on the thrown errors. */
function withCodes({ data, errors }: ExecutionResult): Answer {
  const coded = errors?.map(({ message, originalError }) => {
    const { code, details } = (originalError ?? {}) as { code?: unknown; details?: object };
    return { message, extensions: { ...details, code: code ?? "BAD_USER_INPUT" } };
  });
  return { data, errors: coded };
}

function asRefused(error: unknown): never {
  throw error instanceof AppError ? new Refused(error.code, error.message) : error;
}
