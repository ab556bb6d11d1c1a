"""The cases of the table and those of boto3 alone."""

import os
import pathlib
import subprocess
import sys

import boto3
import botocore
from botocore.config import Config
from botocore.exceptions import ClientError, ParamValidationError
from cases import MANIFESTS, contains, digest, filled, of_endpoint, repository, run

HERE = pathlib.Path(__file__).parent
RECIPE = HERE.parent / "boto3" / "put_image.py"
sys.path.insert(0, str(RECIPE.parent))
from put_image import ecr_client  # noqa: E402  pylint: disable=wrong-import-position

NAME = "boto3"
OPERATIONS = {"PutImage": "put_image", "CreateRepository": "create_repository"}
# One retry is enough to see that there are retries.
ATTEMPTS = Config(retries={"total_max_attempts": 2})


def table(endpoint, ecr):
    def tested(case):
        repo = repository(NAME, endpoint, case)

        def call(step):
            operation = getattr(ecr, OPERATIONS[step["call"]])
            return operation(**filled(step["input"], repo))

        def test():
            for step in case.get("given", []):
                call(step)
            if "answer" in case:
                response = call(case)
                contains(response, filled(case["answer"], repo))
                assert response["ResponseMetadata"]["RequestId"]
            else:
                rejected(ecr, lambda: call(case), case["error"], repo)

        return test

    return [(f"{endpoint}: {case['name']}", tested(case)) for case in of_endpoint(endpoint)]


def rejected(ecr, call, error, repo="", attempts=None):
    """Asserts that `call` raises the client's own exception class of `error`'s code."""
    modelled = not error.get("unmodelled")
    expected = getattr(ecr.exceptions, error["code"]) if modelled else ClientError
    try:
        response = call()
    except expected as raised:
        assert type(raised) is expected, type(raised)
        response, metadata = raised.response, raised.response["ResponseMetadata"]
        assert response["Error"]["Code"] == error["code"], response["Error"]
        message = filled(error["message"], repo, metadata["RequestId"])
        assert response["Error"]["Message"] == message, response["Error"]["Message"]
        assert metadata["HTTPStatusCode"] == error.get("status", 400), metadata
        assert len(metadata["RequestId"]) == 36, metadata
        assert response.get("kmsError") == error.get("kmsError"), response
        if attempts is not None:
            assert metadata["RetryAttempts"] == attempts - 1, metadata
    else:
        raise AssertionError(f"no {error['code']} but {response}")


def unmodelled(code, message, status=400):
    return {"code": code, "message": message, "status": status, "unmodelled": True}


def main():
    plain = boto3.client("ecr", endpoint_url=os.environ["PLAIN_URL"])
    gateway_url = os.environ["EXECUTE_API_URL"]
    gateway = ecr_client(gateway_url)
    quotas = boto3.client("ecr", endpoint_url=os.environ["QUOTAS_URL"], config=ATTEMPTS)
    broken = boto3.client("ecr", endpoint_url=os.environ["BROKEN_URL"], config=ATTEMPTS)
    put = {"repositoryName": "boto3", "imageManifest": "{}", "imageTag": "v1"}

    def wrong_json_type():
        loose = Config(parameter_validation=False)
        ecr = boto3.client("ecr", endpoint_url=os.environ["PLAIN_URL"], config=loose)
        try:
            ecr.put_image(**{**put, "imageTag": 5})
        except ClientError as raised:
            assert raised.response["Error"]["Code"] == "SerializationException", raised
            assert raised.response["Error"]["Message"], raised.response
        else:
            raise AssertionError("a number passed for a tag")

    def validated_locally():
        for wrong in ({"imageTag": ""}, {"imageTag": 5}, {"repositoryName": "a"}):
            try:
                plain.put_image(**{**put, **wrong})
            except ParamValidationError:
                continue
            raise AssertionError(f"{wrong} passed")

    def other_operation():
        message = "The requested operation is not recognized by the service"
        error = unmodelled("UnknownOperationException", message, 404)
        rejected(plain, plain.describe_repositories, error)

    def retried():
        error = {
            "code": "ServerException",
            "status": 500,
            "message": "The request could not be completed because of a failure of the service. "
            "Request id: {requestId}",
        }
        rejected(broken, lambda: broken.put_image(**put), error, attempts=2)

    def without_recipe():
        stock = boto3.client("ecr", endpoint_url=gateway_url)
        message = "Credential should be scoped to correct service: 'execute-api'. "
        error = unmodelled("InvalidSignatureException", message, 403)
        rejected(stock, lambda: stock.put_image(**put), error)

    def by_service_model():
        models = str(HERE.parent / "aws-cli" / "models")
        session = botocore.session.Session(session_vars={"data_path": (None, None, models, None)})
        ecr = session.create_client("ecr", endpoint_url=gateway_url)
        rejected(ecr, lambda: ecr.create_repository(repositoryName="Upper"), {
            "code": "InvalidParameterException",
            "message": "Invalid parameter at 'repositoryName' failed to satisfy constraint: 'must "
            "satisfy regular expression '(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*"
            "[a-z0-9]+(?:[._-][a-z0-9]+)*''",
        })

    def without_signature():
        unsigned = Config(signature_version=botocore.UNSIGNED)
        ecr = boto3.client("ecr", endpoint_url=gateway_url, config=unsigned)
        message = "The requested operation is not recognized by the service"
        error = unmodelled("UnknownOperationException", message, 404)
        rejected(ecr, lambda: ecr.put_image(**put), error)

    def without_stage():
        ecr = ecr_client(gateway_url.removesuffix("/live"))
        try:
            ecr.put_image(**put)
        except ClientError as raised:
            assert raised.response["ResponseMetadata"]["HTTPStatusCode"] == 403, raised.response
        else:
            raise AssertionError("a response without a stage")

    def recipe_runs():
        manifest = HERE / "manifests" / "one.json"
        repo = repository(NAME, "execute-api", {"name": "put a new image"})
        for tag in ("by-recipe", "by-recipe"):
            command = [sys.executable, RECIPE, gateway_url, repo, manifest, tag]
            ran = subprocess.run(command, check=True, capture_output=True, text=True)
            assert ran.stdout.strip() == digest(MANIFESTS["one"]), ran.stdout

    tests = table("plain", plain) + table("execute-api", gateway)
    tests += table("quotas", quotas) + table("broken", broken)
    tests += [
        ("a wrong JSON type is a SerializationException", wrong_json_type),
        ("minimum lengths and types are checked before sending", validated_locally),
        ("another operation is an UnknownOperationException", other_operation),
        ("a ServerException is retried", retried),
        ("a stock client is rejected by API Gateway", without_recipe),
        ("the service model signs for API Gateway", by_service_model),
        ("a request without a signature is rejected by API Gateway", without_signature),
        ("a URL without the stage is rejected by API Gateway", without_stage),
        ("the recipe runs", recipe_runs),
    ]
    run(NAME, tests)


if __name__ == "__main__":
    main()
