from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gitops import deployment
from gitops.deployment import Release
from pipelines.errors import ProjectError

ROOT = Path(__file__).parents[2]
WHERE = Path("deploy/staging/ncf.yml")
RELEASE = Release(
    id="ncf-9c41d2e7a0b1",
    package_arn="arn:aws:sagemaker:eu-west-1:123456789012:model-package/film-recommender-ncf/3",
    archive_uri="s3://film-recommender-123456789012-eu-west-1/steps/Train/aa/model.tar.gz",
    archive_sha256="1" * 63 + "e",
    image="123456789012.dkr.ecr.eu-west-1.amazonaws.com/film-recommender/serving@sha256:" + "0" * 64,
)
TEXT = """# what staging serves
model: ncf
release: null  # nothing yet

# one is enough
serving: {mode: realtime, instance_type: ml.c6i.large, instances: 1}
retry: 0 # last
"""


def load(text: str) -> deployment.Deployment:
    return deployment.load(WHERE, text)


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_the_shipped_files_are_valid_and_deploy_nothing(environment):
    assert deployment.load(ROOT / "deploy" / environment / "ncf.yml").release is None


def test_the_documented_format_is_accepted():
    text = f"""
model: ncf
release:
  id: ncf-9c41d2e7a0b1
  package_arn: arn:aws:sagemaker:eu-west-1:123456789012:model-package/film-recommender-ncf/3
  archive_uri: s3://bucket/model.tar.gz
  archive_sha256: "{"a" * 64}"
  image: registry/serving@sha256:{"b" * 64}
serving: {{mode: realtime, instance_type: ml.c6i.large, instances: 1}}
autoscaling: {{min: 1, max: 4, invocations_per_instance: 750}}
rollout: {{strategy: all_at_once, bake_seconds: 0, alarms: []}}
verify: {{max_p99_ms: 50}}
retry: 0
"""
    loaded = load(text)
    assert loaded.release.version == 3
    assert loaded.verify.max_p99_ms == 50


WRONG = {
    "retrys: 1\n": "retrys",
    "retry: -1\n": "retry",
    "retry: two\n": "retry",
    "rollout: {strategy: canary}\n": "rollout: strategy canary without canary_percent",
    "release: {id: ncf-9c41d2e7a0b1}\n": "release",
    "model: other\n": "model",
    "serving: {instance_type: ml.c6i.large, instances: 0}\n": "serving.instances",
}


@pytest.mark.parametrize("line", WRONG)
def test_what_is_wrong_is_named_by_file_and_key(line):
    key = line.split(":")[0]
    kept = "".join(each for each in TEXT.splitlines(keepends=True) if not each.startswith(f"{key}:"))
    with pytest.raises(ProjectError, match=f"deploy/staging/ncf.yml: .*{WRONG[line]}"):
        load(kept + line)


def test_a_release_replaces_only_its_block():
    edited = deployment.with_release(TEXT, RELEASE, WHERE)
    assert load(edited).release == RELEASE
    assert edited.startswith("# what staging serves\nmodel: ncf\nrelease:  # nothing yet\n  id: ncf-9c41d2e7a0b1\n")
    assert edited.endswith(TEXT.split("# nothing yet\n")[1])


def test_replacing_a_release_with_itself_changes_no_byte():
    edited = deployment.with_release(TEXT, RELEASE, WHERE)
    assert deployment.with_release(edited, RELEASE, WHERE) == edited


def test_the_way_back_to_null_gives_the_first_text():
    assert deployment.with_release(deployment.with_release(TEXT, RELEASE, WHERE), None, WHERE) == TEXT


@pytest.mark.parametrize(
    "block",
    ["release: null\n", "release:\n", "release: ~ # c\n", '"release": null\n', "release: {id: x,\n  image: y} # c\n"],
)
def test_a_release_is_found_however_it_was_written(block):
    for before, after in (("model: ncf\n", "retry: 3 # three\n"), ("retry: 3\nmodel: ncf\n", ""), ("", "model: ncf\n")):
        edited = deployment.with_release(before + block + after, RELEASE, WHERE)
        assert edited.startswith(before)
        assert edited.endswith(after)
        assert yaml.safe_load(edited)["release"] == RELEASE.model_dump()


def test_line_ends_stay_as_they_are():
    edited = deployment.with_release(TEXT.replace("\n", "\r\n"), RELEASE, WHERE)
    assert edited.replace("\r\n", "") == deployment.with_release(TEXT, RELEASE, WHERE).replace("\n", "")


def test_a_file_without_a_release_key_is_an_error():
    with pytest.raises(ProjectError, match="release: is missing"):
        deployment.with_release("model: ncf\n", RELEASE, WHERE)


comments = st.lists(st.sampled_from(["# release: no\n", "\n", "#\n", "# ünïcode\n"]), max_size=3).map("".join)
others = st.permutations(["model: ncf\n", "retry: 1 # r\n", "verify: {max_p99_ms: 50}\n", "serving:\n  instances: 1\n"])


@given(others, st.integers(0, 4), st.lists(comments, min_size=6, max_size=6))
def test_every_byte_outside_the_block_is_kept(keys, position, notes):
    lines = [note + key for note, key in zip(notes, keys, strict=False)]
    before = "".join(lines[:position]) + notes[4]
    after = notes[5] + "".join(lines[position:])
    edited = deployment.with_release(f"{before}release: null\n{after}", RELEASE, WHERE)
    assert edited.startswith(f"{before}release:\n  id: ")
    assert edited.endswith(after)


hexadecimal = st.text("0123456789e", min_size=64, max_size=64) | st.text("0123456789abcdef", min_size=64, max_size=64)


@given(hexadecimal, st.text("0123456789e", min_size=12, max_size=12))
def test_a_digest_that_looks_like_a_number_stays_text(sha, identity):
    release = RELEASE.model_copy(update={"archive_sha256": sha, "id": f"ncf-{identity}"})
    assert load(deployment.with_release(TEXT, release, WHERE)).release == release
