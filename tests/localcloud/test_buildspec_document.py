"""Reading a buildspec: what is accepted, and how a mistake is named."""

import json
from contextlib import suppress
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from localcloud.buildspec.__main__ import main
from localcloud.buildspec.document import BuildspecError, parse
from localcloud.buildspec.model import json_schema, parse_on_failure

HERE = Path(__file__).parent
SCHEMA = Path(main.__code__.co_filename).parent.parent / "buildspec.schema.json"
ALL = sorted((HERE / "buildspecs").glob("*/buildspec.yml"))
MISTAKES = {
    "version: 0.1": "line 1: version: unknown value; use '0.2'",
    "phases: {}": "line 1: version: missing; add it",
    "version: 0.2\nphases:\n  biuld:\n    commands: [a]": "line 4: phases.biuld: unknown key; remove it",
    "version: 0.2\nphases:\n  build:\n    commands:\n      - echo a\n      - echo b: c": (
        'line 6: phases.build.commands.1: not text; write text; a command with ": " in it needs quotes'
    ),
    "version: 0.2\nphases:\n  build:\n    commands: echo a": "line 4: phases.build.commands: not a list; write one",
    "version: 0.2\nphases: [build]": "line 2: phases: not a mapping; write `key: value` lines below it",
    "version: 0.2\nversion: 0.2": "line 2: not YAML: the key 'version' stands twice",
    "version: 0.2\nphases: {": "not YAML: expected the node content",
    "version: 0.2\nx: \x00": "not YAML",
    "- version: 0.2": "not a mapping; start with `version: 0.2`",
    "": "not a mapping; start with `version: 0.2`",
    "version: 0.2\nphases:\n  build:\n    on-failure: STOP": "phases.build.on-failure: 'STOP' is unknown; use ABORT",
    "version: 0.2\nphases:\n  build:\n    on-failure: RETRY-(": "'(' is not a regular expression",
    "version: 0.2\nartifacts:\n  files: [a]\n  discard-paths: maybe": "artifacts.discard-paths: 'maybe' is neither",
    "version: 0.2\nenv:\n  variables: {A-B: c}": "'A-B' is not a variable's name; use letters, digits and _",
    "version: 0.2\nenv:\n  shell: zsh": "line 3: env.shell: unknown value; use 'bash', 'sh'",
    "version: 0.2\nreports:\n  unit: {file-format: JUNITXML}": "reports.unit.files: missing; add it",
    "version: 0.2\ncache:\n  fallback-keys: [a, b, c, d, e, f]": "cache.fallback-keys",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_is_named_with_its_line_its_key_and_its_remedy(text):
    with pytest.raises(BuildspecError) as error:
        parse(text, "ci/buildspec.yml")
    assert str(error.value).startswith("ci/buildspec.yml: ")
    assert MISTAKES[text] in str(error.value)


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.parent.name)
def test_every_example_is_read_and_fits_the_published_schema(path):
    parse(path.read_text())
    jsonschema.validate(yaml.safe_load(path.read_text()), json_schema())


@pytest.mark.parametrize("text", [text for text in MISTAKES if text.startswith("version: 0.2\n")])
def test_the_published_schema_refuses_what_the_reader_refuses(text):
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError:
        return
    if "version: 0.2\nversion" in text or "RETRY-(" in text:
        return  # a schema cannot see a key that stands twice, nor compile what it allows
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, json_schema())


def test_the_published_schema_is_the_one_of_the_models(capsys):
    assert main(["schema"]) == 0
    assert SCHEMA.read_text() == capsys.readouterr().out
    assert json.loads(SCHEMA.read_text())["title"] == "AWS CodeBuild buildspec 0.2"


def test_scalars_keep_the_text_they_have_in_the_file():
    spec = parse("version: 0.2\nenv:\n  variables: {A: 1.10, B: yes, C: 007, D: '', E: null}\n")
    assert spec.env.variables == {"A": "1.10", "B": "yes", "C": "007", "D": "", "E": "null"}


def test_a_key_with_nothing_after_it_counts_as_absent():
    spec = parse("version: 0.2\nphases:\n  build:\n    commands:\n  post_build:\nartifacts:\n")
    assert (spec.phases.build.commands, spec.phases.post_build, spec.artifacts) == ((), None, None)


@pytest.mark.parametrize(
    ("text", "retries", "pattern"),
    [
        ("RETRY", 3, ".*"),
        ("RETRY-7", 7, ".*"),
        ("RETRY-a-b", 3, "a-b"),
        ("RETRY-2-x.*y", 2, "x.*y"),
        ("ABORT", 0, ".*"),
    ],
)
def test_on_failure_has_a_count_and_a_pattern(text, retries, pattern):
    failure = parse_on_failure(text)
    assert (failure.action, failure.retries, failure.pattern.pattern) == (text.partition("-")[0], retries, pattern)


@given(
    st.text(max_size=200)
    | st.text(max_size=60).map(lambda text: f"version: 0.2\nphases:\n  build:\n    commands:\n{text}")
)
def test_no_text_brings_the_reader_down(text):
    with suppress(BuildspecError):
        parse(text)
