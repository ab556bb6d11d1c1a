// The cases of the table and those of the SDK for JavaScript alone.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

// `clients/test` runs a copy of this file in the folder where the packages are installed.
import * as sdk from "@aws-sdk/client-ecr";
import { ecrClient } from "./put-image.mjs";

const { ECRClient, ECRServiceException } = sdk;
const NAME = "javascript";
const HERE = process.env.CLIENTS_TESTS;
const ENV = process.env;
const digest = (text) => "sha256:" + createHash("sha256").update(text).digest("hex");

const MANIFESTS = manifests();
const CASES = JSON.parse(readFileSync(`${HERE}/cases.json`, "utf8"));

/** The texts of tests/manifests by name, as they are pushed. */
function manifests() {
  const texts = {};
  for (const file of readdirSync(`${HERE}/manifests`).sort()) {
    const text = readFileSync(`${HERE}/manifests/${file}`, "utf8").replaceAll("{crlf}", "\r\n");
    const padding = "x".repeat(Math.max(0, 4 * 1024 * 1024 - text.length + "{pad}".length));
    texts[file.replace(".json", "")] = text.replace("{pad}", () => padding);
  }
  for (const [name, text] of Object.entries(texts)) {
    texts[name] = text.replaceAll(/{digest:(\w+)}/g, (_, other) => digest(texts[other]));
  }
  return texts;
}

/** `value` with the placeholders of the table replaced. */
function filled(value, repo, requestId = "") {
  if (Array.isArray(value)) return value.map((item) => filled(item, repo, requestId));
  if (value !== null && typeof value === "object") {
    const entries = Object.entries(value);
    return Object.fromEntries(entries.map(([key, item]) => [key, filled(item, repo, requestId)]));
  }
  if (typeof value !== "string") return value;
  if (value.startsWith("@")) return MANIFESTS[value.slice(1)];
  return value
    .replaceAll(/{digest:([\w-]+)}/g, (_, name) => digest(MANIFESTS[name]))
    .replaceAll("{repo}", repo)
    .replaceAll("{requestId}", requestId)
    .replaceAll("{kmsKey}", ENV.KMS_KEY)
    .replaceAll("{disabledKey}", ENV.DISABLED_KMS_KEY);
}

/** Asserts that `response` contains all of `expected`. */
function contains(response, expected, at = "response") {
  if (expected !== null && typeof expected === "object" && !Array.isArray(expected)) {
    for (const [key, value] of Object.entries(expected)) contains(response?.[key], value, `${at}.${key}`);
  } else {
    assert.deepEqual(response, expected, `${at}: ${String(response).slice(0, 300)}`);
  }
}

const send = (client, step, repo) =>
  client.send(new sdk[`${step.call}Command`](filled(step.input, repo)));

/** Asserts that `call` rejects with the SDK's own exception class of `error`'s code. */
async function rejected(call, error, repo = "", attempts = 1) {
  const modelled = error.unmodelled ? ECRServiceException : sdk[error.code];
  const raised = await call().then(
    () => assert.fail(`no ${error.code}`),
    (raised) => raised,
  );
  assert.ok(raised instanceof modelled, `${raised.name} is a ${raised.constructor.name}: ${raised}`);
  assert.equal(raised.name, error.code);
  const { requestId, httpStatusCode } = raised.$metadata;
  assert.match(requestId, /^[0-9a-f-]{36}$/);
  assert.equal(raised.message, filled(error.message, repo, requestId));
  assert.equal(httpStatusCode, error.status ?? 400);
  assert.equal(raised.kmsError, error.kmsError);
  assert.equal(raised.$metadata.attempts, attempts, "attempts");
}

function table(endpoint, client, attempts = 1) {
  const here = ({ at = "plain", everywhere }) =>
    at === endpoint || (endpoint === "execute-api" && everywhere);
  return CASES.filter(here).map((each) => {
    const slug = each.name.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-");
    const repo = `${NAME}/${endpoint}/${slug}`;
    return [
      `${endpoint}: ${each.name}`,
      async () => {
        for (const step of each.given ?? []) await send(client, step, repo);
        if (each.error) {
          await rejected(() => send(client, each, repo), each.error, repo, attempts);
        } else {
          const response = await send(client, each, repo);
          contains(response, filled(each.answer, repo));
          assert.match(response.$metadata.requestId, /^[0-9a-f-]{36}$/);
        }
      },
    ];
  });
}

const unmodelled = (code, message, status) => ({ code, message, status, unmodelled: true });
const UNKNOWN = "The requested operation is not recognized by the service";
const GATEWAY = ENV.EXECUTE_API_URL;
const plain = new ECRClient({ endpoint: ENV.PLAIN_URL });
// One retry is enough to see that there are retries.
const quotas = new ECRClient({ endpoint: ENV.QUOTAS_URL, maxAttempts: 2 });
const broken = new ECRClient({ endpoint: ENV.BROKEN_URL, maxAttempts: 2 });
const put = { repositoryName: "javascript", imageManifest: "{}", imageTag: "v1" };
const putInto = (client, input = put) => client.send(new sdk.PutImageCommand(input));

const tests = [
  ...table("plain", plain),
  ...table("execute-api", ecrClient(GATEWAY)),
  ...table("quotas", quotas, 2),
  ...table("broken", broken, 2),
  [
    "a wrong JSON type is a SerializationException",
    async () => {
      const raised = await putInto(plain, { ...put, imageTag: 5 }).catch((raised) => raised);
      assert.ok(raised instanceof ECRServiceException, String(raised));
      assert.equal(raised.name, "SerializationException");
    },
  ],
  [
    "the service reports a missing member",
    () =>
      rejected(() => putInto(plain, { repositoryName: "javascript" }), {
        code: "InvalidParameterException",
        message:
          "Invalid parameter at 'imageManifest' failed to satisfy constraint: 'must not be null'",
      }),
  ],
  [
    "another operation is an UnknownOperationException",
    () =>
      rejected(
        () => plain.send(new sdk.DescribeRepositoriesCommand({})),
        unmodelled("UnknownOperationException", UNKNOWN, 404),
      ),
  ],
  [
    "a stock client is rejected by API Gateway",
    () =>
      rejected(
        () => putInto(new ECRClient({ endpoint: GATEWAY })),
        unmodelled(
          "InvalidSignatureException",
          "Credential should be scoped to correct service: 'execute-api'. ",
          403,
        ),
      ),
  ],
  [
    "a URL without the stage is rejected by API Gateway",
    async () => {
      const client = ecrClient(GATEWAY.replace("/live", ""));
      const raised = await putInto(client).catch((raised) => raised);
      assert.equal(raised.$metadata?.httpStatusCode, 403, String(raised));
    },
  ],
  [
    "the recipe runs",
    () => {
      const repo = `${NAME}/execute-api/put-a-new-image`;
      const recipe = fileURLToPath(new URL("put-image.mjs", import.meta.url));
      for (let time = 0; time < 2; time += 1) {
        const ran = execFileSync(
          process.execPath,
          [recipe, GATEWAY, repo, `${HERE}/manifests/one.json`, "by-recipe"],
          { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] },
        );
        assert.equal(ran.trim(), digest(MANIFESTS.one));
      }
    },
  ],
];

let failed = 0;
for (const [name, test] of tests) {
  try {
    await test();
  } catch (error) {
    failed += 1;
    console.log(`FAIL ${NAME}: ${name}\n${error.stack}`);
  }
}
console.log(`${NAME}: ${tests.length - failed} passed, ${failed} failed`);
process.exitCode = failed ? 1 : 0;
