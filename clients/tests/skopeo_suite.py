"""Pushes an OCI image layout that skopeo wrote with the example `push`, and puts its image with AWS's clients."""

import hashlib
import io
import json
import os
import pathlib
import subprocess
import tarfile
import tempfile

import boto3
from cases import run

NAME = "skopeo"
REPOSITORY = "skopeo/app"


def tar(files):
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return written.getvalue()


def image():
    """An image of one layer, as `docker save` writes it."""
    layer = tar({"hello": b"hello\n"})
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]},
        "history": [{"created_by": "clients/tests/skopeo_suite.py"}],
    }
    manifest = [{"Config": "config.json", "RepoTags": ["app:v1"], "Layers": ["layer.tar"]}]
    json_of = lambda value: json.dumps(value).encode()
    return tar(
        {"manifest.json": json_of(manifest), "config.json": json_of(config), "layer.tar": layer}
    )


def layout_in(directory):
    (directory / "app.tar").write_bytes(image())
    layout = directory / "layout"
    copy = ["skopeo", "--insecure-policy", "copy", "--quiet"]
    copy += [f"docker-archive:{directory / 'app.tar'}", f"oci:{layout}:v1"]
    subprocess.run(copy, check=True, capture_output=True)
    return layout


def push(layout):
    """Runs `push` with the variables that `serve` has exported."""
    lines = pathlib.Path(os.environ["PLAIN_STACK"]).read_text().splitlines()
    exports = dict(line.removeprefix("export ").split("=", 1) for line in lines)
    command = [os.environ["PUSH"], layout, f"{REPOSITORY}:v1"]
    command += ["--endpoint", exports["AWS_ENDPOINT_URL_ECR"]]
    ran = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **exports})
    assert ran.returncode == 0, ran.stderr
    return ran.stdout + ran.stderr


def main():
    url = os.environ["PLAIN_URL"]
    ecr = boto3.client("ecr", endpoint_url=url)
    with tempfile.TemporaryDirectory() as temporary:
        layout = layout_in(pathlib.Path(temporary))
        digest = json.loads((layout / "index.json").read_text())["manifests"][0]["digest"]
        manifest = layout / "blobs" / digest.replace(":", "/")
        message = f"Image with digest '{digest}' and tag 'v1' already exists"

        def pushed():
            assert digest in push(layout)

        def pushed_again():
            assert digest in push(layout)

        def put_again_by_boto3():
            text = manifest.read_bytes().decode()
            try:
                ecr.put_image(repositoryName=REPOSITORY, imageManifest=text, imageTag="v1")
            except ecr.exceptions.ImageAlreadyExistsException as raised:
                assert message in str(raised), raised
            else:
                raise AssertionError("put again")

        def put_again_by_the_cli():
            command = ["aws", "ecr", "put-image", "--repository-name", REPOSITORY]
            command += ["--image-tag", "v1", "--image-manifest", f"file://{manifest}"]
            environment = {**os.environ, "AWS_ENDPOINT_URL_ECR": url}
            ran = subprocess.run(command, capture_output=True, text=True, env=environment)
            assert "(ImageAlreadyExistsException)" in ran.stderr, ran
            assert message in ran.stderr, ran

        def tagged_by_boto3():
            text = manifest.read_bytes().decode()
            response = ecr.put_image(repositoryName=REPOSITORY, imageManifest=text, imageTag="v2")
            assert response["image"]["imageId"] == {"imageDigest": digest, "imageTag": "v2"}, response

        tests = [
            ("its layout is pushed", pushed),
            ("its layout is pushed again", pushed_again),
            ("boto3 gets ImageAlreadyExistsException", put_again_by_boto3),
            ("the AWS CLI gets ImageAlreadyExistsException", put_again_by_the_cli),
            ("boto3 gives the image another tag", tagged_by_boto3),
        ]
        run(NAME, tests)


if __name__ == "__main__":
    main()
