import { createHash, generateKeyPairSync, randomBytes } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Provider } from "oidc-provider";

/**
 * An identity provider: the package `oidc-provider`, running over HTTP. People sign in by the authorization code flow
 * with PKCE; where a browser would show a page, the person named by `login_hint` is signed in at once.
 */
export interface OidcStandin {
  issuer: string;
  /** How often the public keys were asked for. */
  keyFetches: () => number;
  /** Signs a person in and gives the access token for that audience. */
  signIn: (subject: string, claims: object, audience?: string) => Promise<{ accessToken: string; idToken: string }>;
  /** The same issuer with new keys, as after a restart; `path` answers requests before the provider does. */
  rotateKeys: () => void;
  /** A private key as JWK, for tokens that the provider would never issue. */
  privateJwk: () => object;
  /** While set, this answers in place of the provider. */
  interrupt: (answer: ((request: IncomingMessage, response: ServerResponse) => void) | undefined) => void;
  close: () => Promise<void>;
}

export const audience = "https://tollgate.example.com";
const hopsMax = 10;
const client = { client_id: "console", redirect_uris: ["https://console.example.com/back"] };

function newJwk(): Record<string, unknown> {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return { ...privateKey.export({ format: "jwk" }), kid: randomBytes(8).toString("hex"), use: "sig", alg: "ES256" };
}

export async function startOidcProvider(): Promise<OidcStandin> {
  const claimsOf = new Map<string, object>();
  let keyFetches = 0;
  let interrupted: ((request: IncomingMessage, response: ServerResponse) => void) | undefined;
  let jwk = newJwk();
  let provider: Provider | undefined;
  const server = createServer((request, response) => {
    if (request.url === "/jwks") keyFetches += 1;
    if (interrupted) return interrupted(request, response);
    if (request.url?.startsWith("/interaction/")) return void interact(request, response);
    provider?.callback()(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const make = () => new Provider(issuer, configuration(jwk, claimsOf));
  provider = make();

  async function interact(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (!provider) return;
    const { params } = await provider.interactionDetails(request, response);
    const accountId = String(params.login_hint);
    const grant = new provider.Grant({ accountId, clientId: client.client_id });
    grant.addOIDCScope("openid email profile tollgate");
    grant.addResourceScope(params.resource, "tollgate");
    const result = { login: { accountId }, consent: { grantId: await grant.save() } };
    await provider.interactionFinished(request, response, result);
  }

  return {
    issuer,
    keyFetches: () => keyFetches,
    privateJwk: () => jwk,
    rotateKeys() {
      jwk = newJwk();
      provider = make();
    },
    interrupt(answer) {
      interrupted = answer;
    },
    signIn: async (subject, claims, resource = audience) => {
      claimsOf.set(subject, claims);
      return signIn(issuer, subject, resource);
    },
    close: () => new Promise((resolve) => server.close(() => resolve()).closeAllConnections()),
  };
}

function configuration(jwk: object, claimsOf: Map<string, object>) {
  return {
    clients: [{ ...client, token_endpoint_auth_method: "none", grant_types: ["authorization_code"] }],
    clientDefaults: { id_token_signed_response_alg: "ES256" },
    jwks: { keys: [jwk] },
    cookies: { keys: ["a key for cookies of tests"] },
    scopes: ["openid", "email", "profile", "tollgate"],
    findAccount: (_context: unknown, accountId: string) => ({ accountId, claims: async () => ({ sub: accountId }) }),
    extraTokenClaims: (_context: unknown, { accountId }: { accountId: string }) => claimsOf.get(accountId),
    interactions: { url: (_context: unknown, { uid }: { uid: string }) => `/interaction/${uid}` },
    features: {
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        useGrantedResource: () => true,
        getResourceServerInfo: (_context: unknown, resource: string) => ({
          scope: "tollgate",
          audience: resource,
          accessTokenTTL: 600,
          accessTokenFormat: "jwt",
          jwt: { sign: { alg: "ES256" } },
        }),
      },
    },
  };
}

/** What a browser and an application do together. */
async function signIn(issuer: string, subject: string, resource: string) {
  const verifier = randomBytes(32).toString("base64url");
  const [redirect_uri = ""] = client.redirect_uris;
  const asked = new URLSearchParams({
    ...{ client_id: client.client_id, redirect_uri, response_type: "code", scope: "openid email profile tollgate" },
    ...{ resource, login_hint: subject, code_challenge_method: "S256" },
    code_challenge: createHash("sha256").update(verifier).digest("base64url"),
  });
  const cookies = new Map<string, string>();
  let at = `${issuer}/auth?${asked}`;
  for (let hops = 0; at.startsWith(issuer); hops++) {
    if (hops > hopsMax) throw new Error("the identity provider sends its client in circles");
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const response = await fetch(at, { redirect: "manual", headers: { cookie } });
    for (const line of response.headers.getSetCookie()) {
      const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      cookies.set(name, value);
    }
    const next = response.headers.get("location");
    if (!next) throw new Error(`the identity provider answered ${response.status}: ${await response.text()}`);
    at = new URL(next, at).href;
  }
  const code = new URL(at).searchParams.get("code") ?? "";
  const given = { grant_type: "authorization_code", code, redirect_uri, code_verifier: verifier };
  const response = await fetch(`${issuer}/token`, {
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: new URLSearchParams({ ...given, client_id: client.client_id, resource }),
  });
  const body = (await response.json()) as { access_token?: string; id_token?: string };
  if (!body.access_token) throw new Error(`no access token: ${JSON.stringify(body)}`);
  return { accessToken: body.access_token, idToken: body.id_token ?? "" };
}
