"""The cases of the table and those of the AWS CLI alone, with the `aws` command."""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

from cases import MANIFESTS, contains, digest, filled, of_endpoint, repository, run

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "boto3"))
from put_image import ecr_client  # noqa: E402  pylint: disable=wrong-import-position

RECIPE = HERE.parent / "aws-cli" / "ecr"
NAME = "aws-cli"
# One retry is enough to see that there are retries.
ENVIRONMENT = {**os.environ, "AWS_MAX_ATTEMPTS": "2", "AWS_PAGER": ""}


def version():
    ran = subprocess.run(["aws", "--version"], check=True, capture_output=True, text=True)
    return int(re.match(r"aws-cli/(\d+)", ran.stdout)[1])


# The CLI's exit code after an error of the service: 254 since version 2.
REJECTED = 254 if version() >= 2 else 255


def aws(url, *arguments, command=("aws", "ecr")):
    return subprocess.run(
        [*command, *arguments],
        capture_output=True,
        text=True,
        env={**ENVIRONMENT, "AWS_ENDPOINT_URL_ECR": url, "ECR_ENDPOINT_URL": url},
    )


def kebab(name):
    return re.sub("[A-Z]", lambda m: "-" + m[0].lower(), name)


def arguments(step, repo, directory):
    """A call as a user would type it, with manifests from files. One with CR comes from a file of the whole call,
    because `file://` turns CR LF into LF."""
    typed = [kebab(step["call"]).lstrip("-")]
    manifest = step["input"].get("imageManifest", "@none")[1:]
    if "\r" in MANIFESTS.get(manifest, ""):
        call = directory / f"call-{manifest}.json"
        call.write_text(json.dumps(filled(step["input"], repo)))
        return [*typed, "--cli-input-json", f"file://{call}"]
    for member, value in step["input"].items():
        typed.append("--" + kebab(member))
        if member == "imageManifest":
            typed.append(f"file://{directory / manifest}.json")
        elif isinstance(value, str):
            typed.append(filled(value, repo))
        else:
            typed.append(json.dumps(filled(value, repo)))
    return typed


def rejected(ran, call, error, repo=""):
    """Asserts the CLI's exit code and its message on standard error."""
    assert ran.returncode == REJECTED, (ran.returncode, ran.stdout, ran.stderr)
    known = re.search("Request id: ([0-9a-f-]{36})", ran.stderr)
    message = filled(error["message"], repo, known[1] if known else "")
    retried = r" \(reached max retries: 1\)" if error.get("status", 400) >= 500 else ""
    expected = rf"An error occurred \({error['code']}\) when calling the {call} operation{retried}: "
    assert re.search(expected + re.escape(message), ran.stderr), (expected + message, ran.stderr)


def table(endpoint, url, directory, command=("aws", "ecr")):
    given = ecr_client(url)

    def tested(case):
        repo = repository(NAME, endpoint, case)

        def test():
            # boto3 makes the given calls, because each `aws` takes most of a second to start.
            for step in case.get("given", []):
                operation = getattr(given, kebab(step["call"]).lstrip("-").replace("-", "_"))
                operation(**filled(step["input"], repo))
            ran = aws(url, *arguments(case, repo, directory), command=command)
            if "answer" in case:
                assert ran.returncode == 0, ran.stderr
                contains(json.loads(ran.stdout), filled(case["answer"], repo))
            else:
                rejected(ran, case["call"], case["error"], repo)

        return test

    return [(f"{endpoint}: {case['name']}", tested(case)) for case in of_endpoint(endpoint)]


def main():
    plain, gateway = os.environ["PLAIN_URL"], os.environ["EXECUTE_API_URL"]
    with tempfile.TemporaryDirectory() as temporary:
        directory = pathlib.Path(temporary)
        for name, text in MANIFESTS.items():
            (directory / f"{name}.json").write_bytes(text.encode())
        put = ["put-image", "--repository-name", "cli", "--image-tag", "v1"]
        put += ["--image-manifest", "{}"]

        def other_operation():
            message = "The requested operation is not recognized by the service"
            error = {"code": "UnknownOperationException", "message": message}
            rejected(aws(plain, "describe-repositories"), "DescribeRepositories", error)

        def without_recipe():
            message = "Credential should be scoped to correct service: 'execute-api'. "
            error = {"code": "InvalidSignatureException", "message": message}
            rejected(aws(gateway, *put), "PutImage", error)

        def without_signature():
            ran = aws(gateway, *put, "--no-sign-request")
            message = "The requested operation is not recognized by the service"
            error = {"code": "UnknownOperationException", "message": message}
            rejected(ran, "PutImage", error)

        def request_id():
            ran = aws(plain, *put, "--debug")
            assert re.search(r"'x-amzn-RequestId': '[0-9a-f-]{36}'", ran.stderr, re.I), ran.stderr

        def line_ends():
            typed = put[:-1] + [f"file://{directory}/odd.json"]
            ecr_client(plain).create_repository(repositoryName="cli")
            ran = aws(plain, *typed, "--image-digest", digest(MANIFESTS["odd"]))
            message = f"The image with digest '{digest(MANIFESTS['odd'])}' in repository 'cli'"
            error = {"code": "ImageDigestDoesNotMatchException", "message": message}
            rejected(ran, "PutImage", error)

        tests = table("plain", plain, directory)
        tests += table("execute-api", gateway, directory, command=[RECIPE])
        tests += table("quotas", os.environ["QUOTAS_URL"], directory)
        tests += table("broken", os.environ["BROKEN_URL"], directory)
        tests += [
            ("another operation is an UnknownOperationException", other_operation),
            ("the stock CLI is rejected by API Gateway", without_recipe),
            ("a request without a signature is rejected by API Gateway", without_signature),
            ("--debug shows the request id", request_id),
            ("file:// turns CR LF into LF, and --image-digest detects it", line_ends),
        ]
        run(NAME, tests, workers=2)


if __name__ == "__main__":
    main()
