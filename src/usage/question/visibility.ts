import { boundAccount, type Viewer } from "../../auth/viewer.ts";
import type { Filter } from "./dimensions.ts";

/**
 * The question, limited to the calls that the viewer may see: a key sees its own, a MEMBER those of one account. An id
 * of another account selects nothing.
 */
export function limitToViewer<Q extends Pick<Filter, "accountIds" | "apiKeyIds">>(viewer: Viewer, asked: Q): Q {
  const account = boundAccount(viewer);
  const key = viewer.kind === "API_KEY" ? viewer.apiKeyId : undefined;
  return { ...asked, accountIds: only(account, asked.accountIds), apiKeyIds: only(key, asked.apiKeyIds) };
}

function only(mine: string | undefined, asked: string[] | undefined): string[] | undefined {
  if (mine === undefined) return asked;
  return asked === undefined || asked.includes(mine) ? [mine] : [];
}
