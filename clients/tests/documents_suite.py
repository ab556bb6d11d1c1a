"""Runs the commands of README.md and docs/ that no other step of .ci/run runs, as they are written there, and
checks their effects. Every command of the pages must be listed here."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import boto3
from cases import digest, run
from prepare import client, stack

ROOT = pathlib.Path(__file__).parents[2]
NAME = "documents"
REFERENCE = "sha256:f1d4ae3f7261a72e98c6ebefe9985cf10a0ea5bd762585a43e0700ed99863807"
OTHER_ACCOUNT = "111122223333"

# The beginnings of all other commands, and what runs them.
ELSEWHERE = {
    "cargo run --example push": ".ci/run, tests/examples, clients/tests/skopeo_suite.py",
    "cargo run --example serve": "clients/test, with another port and directory",
    "cargo test": ".ci/run, whole or by its parts",
    "cargo fetch --locked": "scripts/build",
    "sam build": "scripts/build, for both of samconfig.toml's environments where their target is",
    "scripts/build": "scripts/local-ways",
    "scripts/fuzz": ".ci/run, fewer runs of each",
    "cargo bench --bench cpu": ".ci/run",
    "cargo bench --bench hot": "this takes long, and asserts nothing",
    "cargo build --release": "scripts/build, the binaries",
    "scripts/measure-init": "this asserts nothing",
    "scripts/peers": "installs other registries, and asserts nothing",
    "scripts/plot": "draws what scripts/peers measured",
    "scripts/invoke-": "scripts/local-ways",
    "cargo run -p push-model": "cargo test -p push-model, a part of it",
    "cargo run --release -p histories": "cargo test, a part of it: this takes long",
    "sam deploy": "needs AWS",
    "aws lambda": "needs AWS",
    "aws dynamodb restore-table-to-point-in-time": "needs AWS",
    "aws dynamodb wait": "needs AWS",
    "aws s3api": "needs AWS",
    "pip install boto3": "clients/test",
    "export DEFAULT_REGISTRY_ID": "scripts/invoke-cargo-lambda",
    "cargo lambda watch": "scripts/invoke-cargo-lambda, with another port",
    "url=http://127.0.0.1:9000": "scripts/invoke-cargo-lambda, with another port",
    "aws --endpoint-url $url": "scripts/invoke-cargo-lambda, the same calls for others",
}


def blocks(path):
    """The commands of each console block."""
    for block in re.findall(r"^```console\n(.*?)^```", (ROOT / path).read_text(), re.S | re.M):
        block = block.replace("\\\n", "")
        yield [line[2:] for line in block.splitlines() if line.startswith("$ ")]


def block_with(path, command):
    found = [block for block in blocks(path) if any(command in line for line in block)]
    assert len(found) == 1, f"{path} has {len(found)} blocks with {command}"
    return found[0]


class Person:
    """A user in the clone's directory with the variables that `serve` printed."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        for name in ("clients", "events", "ops", "scripts"):
            (self.directory / name).symlink_to(ROOT / name)
        shutil.copy(os.environ["PLAIN_STACK"], self.directory / "stack.env")
        self.variables = stack("PLAIN")
        self.environment = {**os.environ, **self.variables}

    def types(self, commands, **variables):
        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", "\n".join(commands)],
            cwd=self.directory,
            env={**self.environment, **variables},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, (commands, ran.stdout, ran.stderr)
        return ran.stdout

    def item(self, pk, sk):
        table = client("dynamodb", self.variables)
        key = {"PK": {"S": pk}, "SK": {"S": sk}}
        return table.get_item(TableName=self.variables["TABLE_NAME"], Key=key)["Item"]

    def repository(self, name):
        return self.item(f"REPO#012345678910#{name}", "#META")

    def tag(self, repository, tag):
        repo_id = self.repository(repository)["repoId"]["S"]
        return self.item(f"R#{repo_id}", f"TAG#{tag}")["digest"]["S"]


def own_commands(person):
    commands = block_with("README.md", "aws ecr create-repository")
    person.types(commands)
    assert person.tag("amazonlinux", "2016.09") == REFERENCE


def operating(person):
    """In the order of the page, because each part needs what the part before it has made."""
    manifest = '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}'
    (person.directory / "manifest.json").write_text(manifest)
    npm = ROOT / "target/clients/npm"
    commands = block_with("docs/OPERATING.md", "clients/aws-cli/ecr")
    tags = ["v1", "v2", "v3"]
    if (npm / "node_modules").is_dir():
        shutil.copy(npm / "put-image.mjs", person.directory)
        (person.directory / "node_modules").symlink_to(npm / "node_modules")
    else:
        commands = [line for line in commands if not line.startswith("node ")]
        tags.remove("v3")
    person.types(commands, ENDPOINT=os.environ["EXECUTE_API_URL"])
    for tag in tags:
        assert person.tag("app", tag) == digest(manifest), tag

    before = person.repository("app")
    examples = re.findall(r"^```json\n(.*?)^```", (ROOT / "docs/OPERATING.md").read_text(), re.S | re.M)
    (policy,) = (example for example in examples if '"ecr:' in example)
    (person.directory / "policy.json").write_text(policy)
    person.types(block_with("docs/OPERATING.md", "ops/set-repository"))
    after = person.repository("app")
    assert json.loads(after["policy"]["S"]) == json.loads(policy)
    assert after["mutability"]["S"] == "IMMUTABLE_WITH_EXCLUSION"
    assert after["filters"]["L"] == [{"S": "dev-*"}]
    assert after["rev"] != before["rev"]

    # The account that the policy names can push now, and an immutable tag does not move.
    foreign = boto3.client(
        "ecr",
        endpoint_url=os.environ["PLAIN_URL"],
        region_name=person.variables["AWS_REGION"],
        aws_access_key_id=OTHER_ACCOUNT,
        aws_secret_access_key="-",
    )
    another = manifest.replace("}", " }")
    push = {"registryId": "012345678910", "repositoryName": "app", "imageManifest": another}
    foreign.put_image(**push, imageTag="dev-1")
    assert person.tag("app", "dev-1") == digest(another)
    try:
        foreign.put_image(**push, imageTag="v1")
        raise AssertionError("v1 has moved")
    except foreign.exceptions.ImageTagAlreadyExistsException:
        assert person.tag("app", "v1") == digest(manifest)


def restore(person):
    """Two tables that differ in every way become equal."""
    dynamodb = client("dynamodb", person.variables)
    digests = {name: {"S": f"sha256:{name}"} for name in ("old", "new")}

    def item(sk, **attributes):
        return {"PK": {"S": "R#1"}, "SK": {"S": sk}, **attributes}

    same = item("MANIFEST#a", body={"B": b"\x00\xff"})
    indexes = item("#META", imageCount={"N": "2"}, bigIndexes={"SS": ["a", "b"]})
    many = [item(f"IMAGE#{n}", tagCount={"N": "0"}) for n in range(60)]
    held = {
        "restored": [same, indexes, item("TAG#v1", digest=digests["old"]), *many],
        "ecr-own": [same, {**indexes, "imageCount": {"N": "3"}}, item("TAG#v1", digest=digests["new"]), item("TAG#v2")],
    }
    for table, items in held.items():
        keys = {"PK": "HASH", "SK": "RANGE"}
        dynamodb.create_table(
            TableName=table,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in keys],
            KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in keys.items()],
        )
        for it in items:
            dynamodb.put_item(TableName=table, Item=it)

    def stored(table):
        items = dynamodb.scan(TableName=table, ConsistentRead=True)["Items"]
        return sorted(items, key=lambda it: it["SK"]["S"])

    before = stored("restored")
    command = [line for line in block_with("docs/OPERATING.md", "ops/copy-table") if line.startswith("ops/")]
    assert person.types(command, TABLE_NAME="ecr-own") == "63 items, 62 of them written, 1 others deleted\n"
    assert stored("restored") == stored("ecr-own") == before
    assert person.types(command, TABLE_NAME="ecr-own") == "63 items, 0 of them written, 0 others deleted\n"


def every_command_is_known():
    here = [
        *block_with("README.md", "aws ecr create-repository"),
        *block_with("docs/OPERATING.md", "clients/aws-cli/ecr"),
        *block_with("docs/OPERATING.md", "ops/set-repository"),
        "ops/copy-table restored $TABLE_NAME",
    ]
    for path in ["README.md", *sorted(str(p.relative_to(ROOT)) for p in ROOT.glob("docs/*.md"))]:
        for command in (command for block in blocks(path) for command in block):
            known = command in here or any(command.startswith(start) for start in ELSEWHERE)
            assert known, f"{path}: nothing runs {command}"


def main():
    with tempfile.TemporaryDirectory() as directory:

        def person(name):
            (pathlib.Path(directory) / name).mkdir()
            return Person(pathlib.Path(directory) / name)

        tests = [
            ("README.md: with the AWS CLI", lambda: own_commands(person("first"))),
            ("docs/OPERATING.md: clients, policy, mutability", lambda: operating(person("second"))),
            ("docs/OPERATING.md: restore from a backup", lambda: restore(person("third"))),
            ("every command of the documents is known", every_command_is_known),
        ]
        run(NAME, tests)


if __name__ == "__main__":
    main()
