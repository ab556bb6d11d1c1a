"""What the suites of boto3 and the AWS CLI share: the table of cases, and how it is run.

A case is a call with the answer or the error that it must have, after the calls that are given. It
has a repository of its own. `at` names another endpoint than the ordinary one: `quotas`, where
one image and one tag are all, or `broken`, where the table is gone.
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


def repository(client, door, case):
    return f"{client}/{door}/" + re.sub("[^a-z0-9]+", "-", case["name"].lower())


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


def contains(answer, expected, at="answer"):
    """Sees that all of `expected` is in `answer`."""
    if isinstance(expected, dict):
        for key, value in expected.items():
            assert key in answer, f"{at} has no {key}"
            contains(answer[key], value, f"{at}.{key}")
    else:
        shown = lambda value: repr(value)[:300]
        assert answer == expected, f"{at} is {shown(answer)}, not {shown(expected)}"


def of_door(door):
    """The cases of an endpoint: all, or at API Gateway's those that are for everywhere."""
    for case in CASES:
        at = case.get("at", "plain")
        if at == door or (door == "execute-api" and case.get("everywhere")):
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
