import { boundAccount, type Viewer } from "./viewer.ts";

/**
 * Tenancy: an object of another account answers exactly as one that does not exist, so that its existence does not
 * leak. An object is returned if the viewer may see its account. A search that names no account is narrowed to the
 * viewer's. Undefined means "answer as if there were nothing".
 */
export function withinAccount<T extends { accountId?: string | undefined }>(
  viewer: Viewer,
  subject: T | undefined,
): T | undefined {
  const bound = boundAccount(viewer);
  if (subject === undefined || bound === undefined || subject.accountId === bound) return subject;
  return subject.accountId === undefined ? { ...subject, accountId: bound } : undefined;
}
