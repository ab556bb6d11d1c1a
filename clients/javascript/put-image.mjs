// Puts an image with a stock @aws-sdk/client-ecr: node put-image.mjs ENDPOINT REPOSITORY MANIFEST [TAG]
//
// ENDPOINT is the stack's output EndpointUrl, such as
// https://ID.execute-api.REGION.amazonaws.com/live, or that of `cargo run --example serve`. The SDK finds
// region and credentials as usual. Run `npm install @aws-sdk/client-ecr` first.
import { createHash } from "node:crypto";
import { readFileSync, realpathSync } from "node:fs";
import { pathToFileURL } from "node:url";

import { ECRClient, ImageAlreadyExistsException, PutImageCommand } from "@aws-sdk/client-ecr";

/**
 * An ECR client for `endpoint`; `options` are those of ECRClient.
 *
 * The SDK signs for the service `ecr`. API Gateway accepts only signatures for `execute-api`, whatever API it
 * serves, and returns 403 InvalidSignatureException for others.
 */
export function ecrClient(endpoint, options = {}) {
  return new ECRClient({ ...options, endpoint, signingName: "execute-api" });
}

async function main([endpoint, repositoryName, path, imageTag]) {
  const bytes = readFileSync(path);
  const imageDigest = "sha256:" + createHash("sha256").update(bytes).digest("hex");
  const named = imageTag === undefined ? { imageDigest } : { imageTag };
  const imageManifest = bytes.toString("utf8");
  try {
    const command = new PutImageCommand({ repositoryName, imageManifest, ...named });
    const { image } = await ecrClient(endpoint).send(command);
    console.log(image.imageId.imageDigest);
  } catch (error) {
    if (!(error instanceof ImageAlreadyExistsException)) throw error;
    console.log(imageDigest); // the image exists as it was sent: a success
  }
}

if (process.argv[1] && import.meta.url === pathToFileURL(realpathSync(process.argv[1])).href) {
  await main(process.argv.slice(2));
}
