// npm's oidc-provider at an https address of this machine; prints its issuer, then serves until its input ends.
import { createServer } from "node:https";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const given = JSON.parse(process.argv[2]);
const { Provider } = await import(pathToFileURL(join(given.modules, "oidc-provider/lib/index.js")));
const server = createServer({ key: readFileSync(given.key), cert: readFileSync(given.certificate) });
await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
const issuer = `https://127.0.0.1:${server.address().port}`;
const provider = new Provider(issuer, {
  clients: given.clients,
  cookies: { keys: ["a key for tests"] },
  pkce: { required: () => true },
  ttl: { AccessToken: 300, AuthorizationCode: 60, IdToken: 300, Interaction: 300, Session: 300, Grant: 300 },
  claims: { openid: ["sub", "groups"], profile: ["name"] },
  conformIdTokenClaims: false,
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, groups: given.groups[id] ?? [] }) }),
  extraTokenClaims: (_, token) => ({ groups: given.groups[token.accountId] ?? [] }),
  features: {
    devInteractions: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => given.audience,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({ scope: "api", audience: given.audience, accessTokenFormat: "jwt", accessTokenTTL: 300 }),
    },
  },
});
server.on("request", provider.callback());
console.log(JSON.stringify({ issuer }));
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
