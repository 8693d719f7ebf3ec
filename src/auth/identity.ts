import type { OidcPeople } from "./oidc/people.ts";
import type { Oidc } from "./oidc/tokens.ts";
import type { Sessions } from "./sessions/service.ts";
import type { UserViewer } from "./viewer.ts";

/** Finds the user of a token: a user of an identity provider, or one with a session here. */
export class PeopleIdentity {
  readonly #sessions: Sessions;
  readonly #oidc: Oidc;
  readonly #oidcPeople: OidcPeople;

  constructor(sessions: Sessions, oidc: Oidc, oidcPeople: OidcPeople) {
    this.#sessions = sessions;
    this.#oidc = oidc;
    this.#oidcPeople = oidcPeople;
  }

  /** @throws UNAUTHENTICATED, FORBIDDEN, UNAVAILABLE */
  async identify(token: string, ip: string): Promise<UserViewer> {
    return this.#oidc.claims(token) ? this.#oidcPeople.identify(token, ip) : this.#sessions.identify(token, ip);
  }
}
