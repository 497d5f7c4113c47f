"""What docs/jobs-api.md tells receivers to do verifies what is sent."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path

import pytest
from playwright._impl._driver import compute_driver_executable

from magic_eraser.jobs.webhooks import sign, signing_key

DOCS = (Path(__file__).parents[2] / "docs" / "jobs-api.md").read_text()
BODY = b'{"type":"job.succeeded","data":{"id":"\xe7\x85\xa7"}}'
SECRETS = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "any other text"]


def sample(language: str) -> str:
    return next(
        block for block in re.findall(rf"```{language}\n(.*?)```", DOCS, re.DOTALL) if "verify(" in block
    )


def headers(secret: str, moment: int) -> dict[str, str]:
    signature = sign(signing_key(secret), "msg", moment, BODY)
    return {
        "webhook-id": "msg",
        "webhook-timestamp": str(moment),
        "webhook-signature": f"v1,AAAA {signature}",
    }


@pytest.mark.parametrize("secret", SECRETS)
def test_the_sample_in_python(secret):
    names: dict = {}
    exec(sample("python"), names)
    verify = names["verify"]
    now = int(time.time())
    assert verify(secret, headers(secret, now), BODY)
    assert not verify(secret, headers(secret, now), BODY + b" ")
    assert not verify(secret, headers("another", now), BODY)
    assert not verify(secret, headers(secret, now - 1000), BODY)


@pytest.mark.parametrize("secret", SECRETS)
def test_the_sample_in_javascript(secret, tmp_path):
    now = int(time.time())
    calls = [
        (headers(secret, now), BODY.decode()),
        (headers(secret, now), BODY.decode() + " "),
        (headers("another", now), BODY.decode()),
        (headers(secret, now - 1000), BODY.decode()),
    ]
    lines = [f"console.log(verify({secret!r}, {given!r}, Buffer.from({body!r})))" for given, body in calls]
    program = tmp_path / "sample.mjs"
    program.write_text(sample("js") + "\n".join(lines))
    node = compute_driver_executable()[0]  # the one that Playwright brings
    told = subprocess.run([node, str(program)], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["true", "false", "false", "false"]
