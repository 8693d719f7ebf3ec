import { boundAccount, type Viewer } from "../auth/viewer.ts";

/** A search narrowed to what the caller sees; undefined when it names what is somebody else's, and so finds nothing. */
export function boundSearch<S extends { accountId?: string | undefined; apiKeyId?: string | undefined }>(
  viewer: Viewer,
  search: S,
): S | undefined {
  const boundKey = viewer.kind === "API_KEY" ? viewer.apiKeyId : undefined;
  const bound = boundAccount(viewer);
  const { accountId = bound, apiKeyId = boundKey } = search;
  const foreign = (bound ?? accountId) !== accountId || (boundKey ?? apiKeyId) !== apiKeyId;
  return foreign ? undefined : { ...search, accountId, apiKeyId };
}
