// A service in Node asks Aegis to erase a person. Node's own library is enough.
//
//   AEGIS_BROKER_URL=rediss://producer-shop:PASSWORD@redis:6379/0 AEGIS_BROKER_CA=ca.crt \
//     node anonymize.mjs shop /etc/shop/aegis.key 4711 ticket-814
//
// Without a key file (-) the message is not signed, which workers take while no producer is configured.
import { createPrivateKey, hkdfSync, randomUUID, sign } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { setTimeout } from "node:timers/promises";
import { connect as connectTls } from "node:tls";

const TASK = "aegis.users.anonymize";
const QUEUE = "erasure";
const RESEND_SECONDS = 30;
const ED25519_PKCS8 = Buffer.from("302e020100300506032b657004220420", "hex");

const [producer, keyFile, userId, requestId] = process.argv.slice(2);
const read = (file) => file && readFileSync(file);

// Redis's protocol, one command at a time.
class Redis {
  static async open(url) {
    const { protocol, hostname: host, port, username, password } = new URL(url);
    const { AEGIS_BROKER_CA: ca, AEGIS_BROKER_CERT: cert, AEGIS_BROKER_KEY: key } = process.env;
    const options = { host, port: Number(port || 6379), ca: read(ca), cert: read(cert), key: read(key) };
    const secure = protocol === "rediss:";
    const redis = new Redis();
    redis.socket = secure ? connectTls(options) : connect(options);
    await once(redis.socket, secure ? "secureConnect" : "connect");
    redis.chunks = redis.socket[Symbol.asyncIterator]();
    redis.rest = Buffer.alloc(0);
    if (password) {
      await redis.command("AUTH", ...(username ? [decodeURIComponent(username)] : []), decodeURIComponent(password));
    }
    return redis;
  }

  async command(...words) {
    const parts = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`);
    this.socket.write(`*${words.length}\r\n${parts.join("")}`);
    const line = await this.take((rest) => rest.indexOf("\r\n"));
    const [kind, text] = [line[0], line.slice(1)];
    if (kind === "-") throw new Error(text);
    if (kind !== "$" || text === "-1") return kind === "$" ? null : text;
    return this.take((rest) => (rest.length >= Number(text) + 2 ? Number(text) : -1));
  }

  async take(end) {
    while (end(this.rest) < 0) {
      const { value, done } = await this.chunks.next();
      if (done) throw new Error("the broker closed the connection");
      this.rest = Buffer.concat([this.rest, value]);
    }
    const length = end(this.rest);
    const taken = this.rest.subarray(0, length).toString();
    this.rest = this.rest.subarray(length + 2);
    return taken;
  }
}

// The header that says, with a signature, whose message it is.
function signed(id, body) {
  const [role, text] = readFileSync(keyFile, "utf8").trim().split(":");
  if (role !== "aegis-client-key-1") throw new Error(`${keyFile} is no key of aegis client-key`);
  const seed = Buffer.from(hkdfSync("sha256", Buffer.from(text, "base64"), "", "aegis/v1/message", 32));
  const key = createPrivateKey({ key: Buffer.concat([ED25519_PKCS8, seed]), format: "der", type: "pkcs8" });
  const time = Math.floor(Date.now() / 1000);
  const head = Buffer.from(`aegis/v1/message\n${TASK}\n${id}\n${producer}\n${time}\n`);
  return { producer, time, signature: sign(null, Buffer.concat([head, body]), key).toString("base64") };
}

// Celery's message, protocol 2, as it lies in a Redis list.
function message() {
  const id = randomUUID();
  const kwargs = { user_id: userId, request_id: requestId, actor: producer };
  const body = Buffer.from(JSON.stringify([[], kwargs, {}]));
  return JSON.stringify({
    body: body.toString("base64"),
    "content-encoding": "utf-8",
    "content-type": "application/json",
    headers: { task: TASK, id, ...(keyFile === "-" ? {} : { aegis: signed(id, body) }) },
    properties: {
      body_encoding: "base64",
      delivery_info: { exchange: "", routing_key: QUEUE },
      delivery_tag: id,
    },
  });
}

// Only a request that a worker has accepted cannot be lost: until then the same request is sent again.
const redis = await Redis.open(process.env.AEGIS_BROKER_URL);
let status = null;
while (status === null) {
  await redis.command("LPUSH", QUEUE, message());
  for (let waited = 0; status === null && waited < RESEND_SECONDS; waited += 0.2) {
    await setTimeout(200);
    status = await redis.command("GET", `aegis:status:${requestId}`);
  }
}
redis.socket.end();
const { state, reason } = JSON.parse(status);
console.log(state, reason ?? "");
process.exitCode = state === "failed" ? 1 : 0;
