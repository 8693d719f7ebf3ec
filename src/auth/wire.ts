import type { Config } from "../config/environment.ts";
import type { Secrets } from "../config/secrets.ts";
import type { Database } from "../db/client.ts";
import { Sealer } from "../encryption.ts";
import type { LoadMany } from "../graphql/loaders.ts";
import { PeopleIdentity } from "./identity.ts";
import { OidcPeople } from "./oidc/people.ts";
import { Oidc } from "./oidc/tokens.ts";
import { DirectoryResolver } from "./people/directory/resolver.ts";
import { Directory, type MemberKeys } from "./people/directory/service.ts";
import { PeopleResolver } from "./people/resolver.ts";
import { People } from "./people/service.ts";
import type { RecordChange } from "./record-change.ts";
import { RefreshTokens } from "./sessions/refresh-tokens.ts";
import { SessionsResolver } from "./sessions/resolver.ts";
import { Sessions } from "./sessions/service.ts";
import { AccessTokens, tokenSecondsMax } from "./sessions/tokens.ts";
import { SignInLock } from "./sign-in/lock.ts";
import { Passwords } from "./sign-in/passwords.ts";
import { AuthResolver, MeResolver } from "./sign-in/resolver.ts";
import { AuthService } from "./sign-in/service.ts";
import { SigningKeysResolver } from "./signing-keys/resolver.ts";
import { SigningKeys } from "./signing-keys/service.ts";
import { toUser, type User } from "./types.ts";
import { peopleUpkeep } from "./upkeep.ts";

/** Puts users, sign-in, sessions and identity providers together. */
export interface PeopleParts {
  config: Pick<Config, "signIn" | "passwordHashCost" | "signingKeyDays" | "oidcIssuers">;
  secrets: Secrets;
  db: Database;
  record: RecordChange;
  onError: (error: unknown) => void;
  /** Called for each sign-in that is refused before its password is checked. */
  onLocked: (address: string) => void;
  memberKeys: MemberKeys;
  /** Writes down, outside of the database, where the audit ends. */
  noteAnchor: () => Promise<void>;
}

export function openPeople({ config, secrets, db, record, onError, onLocked, noteAnchor, memberKeys }: PeopleParts) {
  const { failuresMax, addressFailuresMax, lockSeconds } = config.signIn;
  const policy = { maxOf: { EMAIL: failuresMax, ADDRESS: addressFailuresMax }, seconds: lockSeconds };
  const lock = new SignInLock({ db, policy, pepper: secrets.signInPepper, onRefused: onLocked });
  const sealer = new Sealer(secrets.signingSeal);
  const given = secrets.signingKey;
  const signingKeys = new SigningKeys({ db, sealer, record, given, tokenSeconds: tokenSecondsMax });
  const tokens = new AccessTokens(signingKeys);
  const sessions = new Sessions({ db, tokens, record, onError });
  const passwords = new Passwords(config.passwordHashCost);
  const refreshTokens = new RefreshTokens(secrets.refreshKey);
  const auth = new AuthService({ db, tokens, refreshTokens, passwords, lock, record });
  const oidc = new Oidc(config.oidcIssuers, () => signingKeys.now());
  const identity = new PeopleIdentity(sessions, oidc, new OidcPeople(db, oidc, record));
  const directory = new Directory({ db, lock, record, memberKeys });
  const disableMembers: Directory["disableMembers"] = (tx, accountId) => directory.disableMembers(tx, accountId);
  const resolvers = [
    new AuthResolver(auth, sessions),
    new SessionsResolver(sessions),
    new PeopleResolver(new People({ db, passwords, lock, record })),
    new DirectoryResolver(directory),
    new SigningKeysResolver(signingKeys),
    new MeResolver(auth),
  ];
  const upkeep = peopleUpkeep({ db, signingKeys, signingKeyDays: config.signingKeyDays, noteAnchor, onError });
  const usersById: LoadMany<User> = async (ids) =>
    new Map([...(await directory.byIds(ids))].map(([id, row]) => [id, toUser(row)]));
  return { auth, identity, signingKeys, disableMembers, usersById, upkeep, resolvers };
}
