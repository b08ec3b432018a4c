// A mail server on 127.0.0.1 that takes mail from `salur` with the password `geheim`, and writes each
// mail it took as a line of JSON. Its first line is the port. It ends when its standard input does.
//
//     node mail-server.js PORT
//
// nobody@… has no mailbox here; later@… is asked to come back, once for each address.
import { SMTPServer } from "smtp-server";

const say = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);
const refusal = (responseCode, text) => Object.assign(new Error(text), { responseCode });
const asked = new Set();

const unfold = (head) => head.replace(/\r\n[ \t]+/g, " ");
const decode = (head, body) =>
  /^content-transfer-encoding: quoted-printable/im.test(head)
    ? Buffer.from(
        body.replace(/=\r\n/g, "").replace(/=([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(parseInt(hex, 16))),
        "latin1",
      ).toString("utf8")
    : body;

const server = new SMTPServer({
  logger: false,
  allowInsecureAuth: true,
  onAuth: ({ username, password }, _session, done) =>
    username === "salur" && password === "geheim" ? done(null, { user: username }) : done(refusal(535, "who is that?")),
  onRcptTo: ({ address }, _session, done) => {
    if (address.startsWith("nobody@")) return done(refusal(550, `there is no ${address} here`));
    if (address.startsWith("later@") && !asked.has(address)) {
      asked.add(address);
      return done(refusal(451, `${address} is busy`));
    }
    done();
  },
  onData: async (stream, session, done) => {
    const text = Buffer.concat(await stream.toArray()).toString("utf8");
    const [head] = text.split("\r\n\r\n", 1);
    const [from, [to]] = [session.envelope.mailFrom.address, session.envelope.rcptTo.map(({ address }) => address)];
    say({ from, to, head: unfold(head), body: decode(head, text.slice(head.length + 4)).replaceAll("\r\n", "\n") });
    done();
  },
});
// Whoever breaks off is the test's concern, not a reason to end.
server.on("error", () => {});
server.listen(Number(process.argv[2]), "127.0.0.1", () => say(server.server.address().port));
process.stdin.on("end", () => process.exit()).resume();
