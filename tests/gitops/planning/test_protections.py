"""What protects cannot be taken away without a word."""

import pytest

from gitops.planning import protections
from tests.gitops.repository import DEPLOY, PARAMS

RELEASE_FILE, POLICY, MODEL = "deploy/production/ncf.yml", "deploy/production/_policy.yml", "params/ncf.yml"
TEXT = DEPLOY.format(environment="production").replace("instances: 1", "instances: 4")
WATCHED = "rollout: {strategy: canary, canary_percent: 25, wait_seconds: 60, alarms: [%s]}\n"
FROZEN = "freeze: {zone: UTC, weekly: [{start: fri 16:00, end: %s}]}\n"
WEAKER = {
    "approval": (MODEL, PARAMS, PARAMS + "release: {staging: auto, production: auto}\n", "release.production"),
    "approval of data": (MODEL, PARAMS, PARAMS + "refresh: {drift: auto}\n", "refresh.drift"),
    "approval of a revert": (POLICY, "drift: report\n", "revert: auto\n", "revert"),
    "a pause": (POLICY, "paused: true\nreason: an incident\n", "{}\n", "paused"),
    "a pause, with its file": (POLICY, "paused: true\nreason: an incident\n", None, "paused"),
    "a freeze": (POLICY, FROZEN % "mon 07:00", FROZEN % "fri 17:00", "freeze.weekly[0].end"),
    "a freeze at all": (POLICY, FROZEN % "mon 07:00", "drift: heal\n", "freeze."),
    "the signature": (RELEASE_FILE, TEXT + "verify: {public_key: abc}\n", TEXT, "verify.public_key"),
    "how slow": (RELEASE_FILE, TEXT + "verify: {max_p99_ms: 50}\n", TEXT + "verify: {max_p99_ms: 500}\n", "verify.max"),
    "how slow at all": (RELEASE_FILE, TEXT + "verify: {max_p99_ratio: 2}\n", TEXT, "verify.max_p99_ratio"),
    "an alarm": (RELEASE_FILE, TEXT + WATCHED % "a, b", TEXT + WATCHED % "b", "rollout.alarms"),
    "an endpoint": (RELEASE_FILE, TEXT, TEXT + "allow_recreate: true\n", "allow_recreate"),
}


def weakened(tmp_path, path: str, before: str | None, after: str | None) -> list[str]:
    roots = tmp_path / "base", tmp_path / "head"
    for root, text in zip(roots, (before, after), strict=True):
        (root / path).parent.mkdir(parents=True)
        if text is not None:
            (root / path).write_text(text)
    return list(protections.weakened([path], roots))


@pytest.mark.parametrize("what", WEAKER)
def test_f58_what_protects_less_is_named(tmp_path, what):
    path, before, after, key = WEAKER[what]
    found = weakened(tmp_path, path, before, after)
    assert found[0].startswith(f"{path}: {key}")


@pytest.mark.parametrize("what", [one for one in WEAKER if one not in {"a freeze", "the signature"}])
def test_what_protects_more_is_not(tmp_path, what):
    path, before, after, _ = WEAKER[what]
    assert weakened(tmp_path, path, after, before) == []


def test_a_new_file_takes_nothing_away(tmp_path):
    assert weakened(tmp_path, RELEASE_FILE, None, TEXT + "allow_recreate: true\n") == []
