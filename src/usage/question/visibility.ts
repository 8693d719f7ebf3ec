import { boundAccount, type Viewer } from "../../auth/viewer.ts";
import type { Filter } from "./question.ts";

/** A key sees itself and a MEMBER one account, whatever the filter names: an id of somebody else selects nothing. */
export function narrow(viewer: Viewer, { accountIds, apiKeyIds }: Filter): Pick<Filter, "accountIds" | "apiKeyIds"> {
  const account = boundAccount(viewer);
  const key = viewer.kind === "API_KEY" ? viewer.apiKeyId : undefined;
  return { accountIds: only(account, accountIds), apiKeyIds: only(key, apiKeyIds) };
}

function only(mine: string | undefined, asked: string[] | undefined): string[] | undefined {
  if (mine === undefined) return asked;
  return asked === undefined || asked.includes(mine) ? [mine] : [];
}
