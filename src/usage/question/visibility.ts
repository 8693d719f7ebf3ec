import { checkMayReadUsd } from "../../auth/access.ts";
import { boundAccount, type Viewer } from "../../auth/viewer.ts";
import type { Filter } from "./dimensions.ts";
import type { UsageQuestion } from "./question.ts";

/**
 * The question, limited to the calls that the viewer may see: a key sees its own, a MEMBER those of one account. An id
 * of another account selects nothing.
 * @throws FORBIDDEN for an order by costs that the viewer must not read
 */
export function limitToViewer<
  Q extends Pick<Filter, "accountIds" | "apiKeyIds"> & Partial<Pick<UsageQuestion, "orderBy">>,
>(viewer: Viewer, asked: Q): Q {
  if (asked.orderBy === "COST_USD") checkMayReadUsd(viewer);
  const account = boundAccount(viewer);
  const key = viewer.kind === "API_KEY" ? viewer.apiKeyId : undefined;
  return { ...asked, accountIds: only(account, asked.accountIds), apiKeyIds: only(key, asked.apiKeyIds) };
}

function only(mine: string | undefined, asked: string[] | undefined): string[] | undefined {
  if (mine === undefined) return asked;
  return asked === undefined || asked.includes(mine) ? [mine] : [];
}
