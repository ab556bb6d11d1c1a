#!/usr/bin/env python3
"""Puts an image with a stock boto3: python put_image.py ENDPOINT REPOSITORY MANIFEST [TAG]

ENDPOINT is the stack's output EndpointUrl, such as https://ID.execute-api.REGION.amazonaws.com/live,
or that of `cargo run --example serve`. boto3 finds region and credentials as usual.
"""

import hashlib
import pathlib
import sys

import boto3


def ecr_client(endpoint_url, **options):
    """An ecr client for `endpoint_url`; `options` are those of boto3.client.

    boto3 signs for the service `ecr`. API Gateway accepts only signatures for `execute-api`, whatever API it
    serves, and returns 403 InvalidSignatureException for others.
    """
    client = boto3.client("ecr", endpoint_url=endpoint_url, **options)
    client.meta.events.register("before-sign.ecr", _sign_for_execute_api)
    return client


def _sign_for_execute_api(request, **_):
    request.context["signing"] = {
        **request.context.get("signing", {}),
        "signing_name": "execute-api",
    }


def main():
    endpoint, repository, path, *tag = sys.argv[1:]
    # As bytes, because reading text may change line ends, and with them the digest.
    manifest = pathlib.Path(path).read_bytes()
    ecr = ecr_client(endpoint)
    digest = "sha256:" + hashlib.sha256(manifest).hexdigest()
    named = {"imageTag": tag[0]} if tag else {"imageDigest": digest}
    try:
        response = ecr.put_image(
            repositoryName=repository, imageManifest=manifest.decode(), **named
        )
        print(response["image"]["imageId"]["imageDigest"])
    except ecr.exceptions.ImageAlreadyExistsException:
        print(digest)  # the image exists as it was sent: a success


if __name__ == "__main__":
    if len(sys.argv) not in (4, 5):
        sys.exit(__doc__)
    main()
