/** The package has no types of its own; this is what the stand-in uses of it. */
declare module "oidc-provider" {
  import type { IncomingMessage, ServerResponse } from "node:http";

  // biome-ignore lint/suspicious/noExplicitAny: configuration and contexts are the package's own.
  type Loose = any;

  export class Provider {
    constructor(issuer: string, configuration: Loose);
    readonly Grant: new (of: {
      accountId: string;
      clientId: string;
    }) => Loose;
    callback(): (request: IncomingMessage, response: ServerResponse) => void;
    interactionDetails(request: IncomingMessage, response: ServerResponse): Promise<Loose>;
    interactionFinished(request: IncomingMessage, response: ServerResponse, result: Loose): Promise<void>;
  }
}
