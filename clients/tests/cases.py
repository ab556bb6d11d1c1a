"""The table of cases and its runner, for the suites of boto3 and the AWS CLI.

A case is a call with the response (`answer`) or the `error` that it must have, after the calls in `given`. It has a
repository of its own. prepare.py makes the calls in `prepared`, before it disables the key. `at` names another
endpoint than the ordinary one: `quotas`, which allows one image and one tag, or `broken`, whose table does not
exist. A case for `everywhere` also runs at API Gateway's endpoint.
"""

import hashlib
import json
import os
import pathlib
import re
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor

HERE = pathlib.Path(__file__).parent
MEBIBYTES = 4 * 1024 * 1024


def manifests():
    """The texts of tests/manifests by name, as they are pushed."""
    texts = {}
    for path in sorted(HERE.glob("manifests/*.json")):
        text = path.read_bytes().decode().replace("{crlf}", "\r\n")
        texts[path.stem] = text.replace("{pad}", "x" * (MEBIBYTES - len(text) + len("{pad}")))
    for name, text in texts.items():
        texts[name] = re.sub(r"{digest:(\w+)}", lambda m: digest(texts[m[1]]), text)
    return texts


def digest(text):
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


MANIFESTS = manifests()
CASES = json.loads((HERE / "cases.json").read_text())


def repository(client, endpoint, case):
    return f"{client}/{endpoint}/" + re.sub("[^a-z0-9]+", "-", case["name"].lower())


def filled(value, repo, request_id=""):
    """`value` with the placeholders of the table replaced."""
    if isinstance(value, dict):
        return {key: filled(item, repo, request_id) for key, item in value.items()}
    if isinstance(value, list):
        return [filled(item, repo, request_id) for item in value]
    if not isinstance(value, str):
        return value
    if value.startswith("@"):
        return MANIFESTS[value[1:]]
    value = re.sub(r"{digest:([\w-]+)}", lambda m: digest(MANIFESTS[m[1]]), value)
    for name, text in (
        ("repo", repo),
        ("requestId", request_id),
        ("kmsKey", os.environ["KMS_KEY"]),
        ("disabledKey", os.environ["DISABLED_KMS_KEY"]),
    ):
        value = value.replace("{%s}" % name, text)
    return value


def contains(response, expected, at="response"):
    """Asserts that `response` contains all of `expected`."""
    if isinstance(expected, dict):
        for key, value in expected.items():
            assert key in response, f"{at} has no {key}"
            contains(response[key], value, f"{at}.{key}")
    else:
        shown = lambda value: repr(value)[:300]
        assert response == expected, f"{at} is {shown(response)}, not {shown(expected)}"


def of_endpoint(endpoint):
    """The cases of an endpoint."""
    for case in CASES:
        at = case.get("at", "plain")
        if at == endpoint or (endpoint == "execute-api" and case.get("everywhere")):
            yield case


def run(client, tests, workers=1):
    """Runs `tests`, pairs of a name and a function; ends the process."""

    def outcome(test):
        try:
            test[1]()
        except BaseException:  # pylint: disable=broad-except
            return traceback.format_exc()
        return None

    with ThreadPoolExecutor(workers) as pool:
        outcomes = list(pool.map(outcome, tests))
    for (name, _), failure in zip(tests, outcomes):
        if failure:
            print(f"FAIL {client}: {name}\n{failure}")
    failed = sum(1 for failure in outcomes if failure)
    print(f"{client}: {len(tests) - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)
