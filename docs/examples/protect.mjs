// A service in Node has an aggregate protected: sealed to the workers, answered sealed.
// npm install @hpke/core cbor-x redis pg
// node protect.mjs aegis-workers-1:… round-12
import { randomUUID } from "node:crypto";
import { setTimeout } from "node:timers/promises";
import { Aes256Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from "@hpke/core";
import { Encoder } from "cbor-x";
import pg from "pg";
import { createClient } from "redis";

const [workersKey, requestId] = process.argv.slice(2);
const suite = new CipherSuite({
  kem: new DhkemX25519HkdfSha256(),
  kdf: new HkdfSha256(),
  aead: new Aes256Gcm(),
});
const cbor = new Encoder({ useRecords: false, mapsAsObjects: true });
const about = (what) => new TextEncoder().encode(`aegis/v1/envelope\n${what}\n${requestId}`);

// The service's own key; one that lasts is kept where only the service can read it.
const mine = await suite.kem.generateKeyPair();
const replyTo = Buffer.from(await suite.kem.serializePublicKey(mine.publicKey)).toString("base64");

const plain = cbor.encode({
  aggregated_value: { weights: new Float32Array([1.5, -2, 3]), loss: 0.25 },
  participant_count: 231,
  dp_epsilon: 0.5,
  dp_sensitivity: 1.5,
  reply_to: `aegis-client-1:${replyTo}`,
});
const key = await suite.kem.deserializePublicKey(Buffer.from(workersKey.split(":")[1], "base64"));
const { enc, ct } = await suite.seal(
  { recipientPublicKey: key, info: about("aegis.federated.protect") },
  plain,
);
const sealed = Buffer.concat([Buffer.from(enc), Buffer.from(ct)]).toString("base64");

// Celery's message, protocol 2, as its Redis transport reads it.
const id = randomUUID();
const message = {
  body: Buffer.from(JSON.stringify([[], { request_id: requestId, sealed }, {}])).toString("base64"),
  "content-encoding": "utf-8",
  "content-type": "application/json",
  headers: { task: "aegis.federated.protect", id, lang: "js" },
  properties: {
    body_encoding: "base64",
    correlation_id: id,
    delivery_info: { exchange: "federated", routing_key: "federated" },
    delivery_mode: 2,
    delivery_tag: id,
    priority: 0,
    reply_to: "",
  },
};
const redis = await createClient({ url: process.env.AEGIS_BROKER_URL }).connect();
await redis.lPush("federated", JSON.stringify(message));
await redis.close();

const database = new pg.Client({ connectionString: process.env.AEGIS_DATABASE_URL });
await database.connect();
const query = "SELECT state, reason, sealed_result FROM aegis_requests WHERE request_id = $1";
let row;
while (!["done", "failed", "expired"].includes(row?.state)) {
  await setTimeout(200);
  row = (await database.query(query, [requestId])).rows[0];
}
await database.end();
if (row.state !== "done") throw new Error(`${row.state}: ${row.reason}`);
const opened = await suite.open(
  {
    recipientKey: mine.privateKey,
    enc: row.sealed_result.subarray(0, 32),
    info: about("aegis.federated.protect/result"),
  },
  row.sealed_result.subarray(32),
);
const { value, report } = cbor.decode(new Uint8Array(opened));
console.log(value, report.guarantee);
