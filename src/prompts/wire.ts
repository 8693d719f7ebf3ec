import type { RecordChange } from "../auth/record-change.ts";
import type { Database } from "../db/client.ts";
import { Sealer } from "../encryption.ts";
import { AccountPromptLogResolver, ApiKeyPromptLogResolver, MyPromptLogResolver, PromptsResolver } from "./resolver.ts";
import { PromptLog } from "./service.ts";
import { PromptWriter } from "./writer.ts";

interface PromptsOptions {
  db: Database;
  promptKey: Buffer;
  record: RecordChange;
  onError: (error: unknown) => void;
  onLost: (count: number, cause?: unknown) => void;
}

/** Puts the feature together: the writer, the resolvers and the background deletion. */
export function openPrompts({ promptKey, onLost, ...options }: PromptsOptions) {
  const sealer = new Sealer(promptKey);
  const log = new PromptLog({ ...options, sealer });
  const writer = new PromptWriter(options.db, sealer, onLost);
  const resolvers = [
    new PromptsResolver(log),
    new MyPromptLogResolver(log),
    new ApiKeyPromptLogResolver(log),
    new AccountPromptLogResolver(log),
  ];
  const close = async () => {
    await Promise.all([log.stop(), writer.idle()]);
  };
  return { writer, resolvers, start: () => log.start(), close };
}
