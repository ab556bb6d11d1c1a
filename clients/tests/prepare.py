"""Prepares what the cases need in addition to their own calls: layers, keys, and an endpoint without a table.

Prints the variables that the suites read. The variables `*_STACK` name the files that `serve` has written.
"""

import os
import pathlib

import boto3
from cases import CASES, digest, filled, of_endpoint, repository

CLIENTS = ("boto3", "aws-cli", "javascript")
LAYERS = ("config", "layer one", "layer two")


def stack(name):
    lines = pathlib.Path(os.environ[f"{name}_STACK"]).read_text().splitlines()
    return dict(line.removeprefix("export ").split("=", 1) for line in lines)


def client(service, variables):
    return boto3.client(
        service,
        endpoint_url=variables[f"AWS_ENDPOINT_URL_{service.upper()}"],
        region_name=variables["AWS_REGION"],
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
    )


def upload_layers(variables, endpoints):
    s3 = client("s3", variables)
    for case in CASES:
        for endpoint in endpoints:
            if case["call"] != "PutImage" or (endpoint == "execute-api" and "everywhere" not in case):
                continue
            for user in CLIENTS:
                for layer in LAYERS:
                    key = digest(layer).replace(":", "/")
                    key = f"012345678910/{repository(user, endpoint, case)}/{key}"
                    s3.put_object(Bucket=variables["LAYER_BUCKET"], Key=key, Body=layer)


def create_repositories(variables, endpoints):
    ecr = client("ecr", variables)
    for endpoint in endpoints:
        for case in of_endpoint(endpoint):
            for step in case.get("prepared", []):
                assert step["call"] == "CreateRepository", case["name"]
                for user in CLIENTS:
                    ecr.create_repository(**filled(step["input"], repository(user, endpoint, case)))


def main():
    plain, quotas, broken = stack("PLAIN"), stack("QUOTAS"), stack("BROKEN")
    upload_layers(plain, ("plain", "execute-api"))
    upload_layers(quotas, ("quotas",))
    client("dynamodb", broken).delete_table(TableName=broken["TABLE_NAME"])
    kms = client("kms", plain)
    for name in ("KMS_KEY", "DISABLED_KMS_KEY"):
        os.environ[name] = kms.create_key()["KeyMetadata"]["Arn"]
        print(f"export {name}={os.environ[name]}")
    create_repositories(plain, ("plain", "execute-api"))
    kms.disable_key(KeyId=os.environ["DISABLED_KMS_KEY"])
    print(f"export PLAIN_URL={plain['AWS_ENDPOINT_URL_ECR']}")
    print(f"export QUOTAS_URL={quotas['AWS_ENDPOINT_URL_ECR']}")
    print(f"export BROKEN_URL={broken['AWS_ENDPOINT_URL_ECR']}")


if __name__ == "__main__":
    main()
