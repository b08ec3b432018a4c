// A city's single sign-on on 127.0.0.1, where everybody signs in with any password and their name:
// `dian` is dian@kota.example, an address that the city has made sure of; `maya.baru` is another person
// with the same address, which has passed on to them; of `tamu.…` the city has made sure of nothing.
// Its first line is the port. It ends when its standard input does.
//
//     node sign-on.js CALLBACK
import http from "node:http";
import Provider from "oidc-provider";

// It warns those who would let people in with settings like these, and nobody reads on.
console.warn = console.info = () => {};
process.stdout.on("error", () => {});
const server = http.createServer();
server.listen(0, "127.0.0.1", () => {
  const { port } = server.address();
  const provider = new Provider(`http://127.0.0.1:${port}`, {
    clients: [{ client_id: "salur", client_secret: "geheim", redirect_uris: [process.argv[2]] }],
    claims: { openid: ["sub"], email: ["email", "email_verified"] },
    cookies: { keys: ["kunci"] },
    pkce: { required: () => true },
    findAccount: (_, accountId) => {
      const sure = !accountId.startsWith("tamu.");
      const name = accountId.replace(/^tamu\./, "").replace(/\.baru$/, "");
      return { accountId, claims: () => ({ sub: accountId, email: `${name}@kota.example`, email_verified: sure }) };
    },
  });
  server.on("request", provider.callback());
  process.stdout.write(`${port}\n`);
});
process.stdin.on("end", () => process.exit()).resume();
