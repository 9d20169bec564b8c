"""Shell text wherever a person or an event may write some: it is refused, or arrives as it was written. Never run."""

import copy
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from localcloud.buildspec.document import parse as parse_buildspec
from localcloud.buildspec.halt import Halt
from localcloud.buildspec.phases import Phases
from localcloud.buildspec.runner import run
from localcloud.buildspec.shell import Container
from localcloud.processes import Processes
from pipelines.errors import ProjectError
from pipelines.models import Section, parse
from pipelines.params import DataLock, Params
from tests.localcloud.sagemaker_lab import Lab

ROOT = Path(__file__).parent.parent
TEXTS = [
    "$(touch {0})",
    "`touch {0}`",
    "; touch {0}",
    "\ntouch {0}\n",
    "| touch {0} #",
    "' ; touch {0} '",
    '" ; touch {0} "',
]
LOCK = {
    "dataset": "toy",
    "reason": "manual",
    "partitions": [{"key": "raw/toy/week=2020-01/part-0.parquet", "sha256": "a" * 64, "bytes": 1, "rows": 1}],
}
MORE = {
    "columns": {"segment": "age", "category": "aisle"},
    "prepare": {"folds": 3, "max_user_share": 0.5},
    "train": {"cross_validate": True, "signing_key": "keys/a/ed25519.pem"},
    "hyperparameters": {
        "sampling": "global", "reg": 0.0, "refit": True, "pretrain": "als", "tune_lr": 0.1, "pretrain_epochs": 1,
        "als_nu": 1.0, "als_alpha": 0.1, "als_iterations": 1, "ease_factors": 1, "blend_below": 0, "top_k": 10,
        "test_num_ng": 99,
    },
    "search": {
        "model": "gmf", "objective": "ndcg@10", "trials": 2, "parallel": 1, "strategy": "Random",
        "space": {"lr": {"min": 0.001, "max": 0.1, "scale": "log"}, "pretrain": {"values": ["als", "blend"]}},
    },
    "gate": {
        "absolute": {"ndcg@10": {"min": 0.02, "max": 1.0}}, "baselines": {"als": {"max_drop": 0.02}},
        "slices": {"segment=young": {"ndcg@10": {"min": 0.01, "max": 1.0}}},
    },
    "registry": {"group": "ncf"},
    "refresh": {
        "new_partition": "auto", "schedule": "auto", "drift": "auto", "max_psi": 0.1, "max_unknown_users": 0.1,
        "min_requests": 1, "events": ["purchase"],
    },
    "build": {"wait_minutes": 1},
}  # fmt: skip


def everything() -> dict[str, Any]:
    """Params in which every field there is has a value."""
    shipped = yaml.safe_load((ROOT / "params/ncf.yml").read_text())
    return shipped | {name: {**shipped.get(name, {}), **values} for name, values in MORE.items()}


def fields(model: type[Section]) -> set[str]:
    """The names of all fields of a model and of those inside it."""
    found = set(model.model_fields)
    waiting = [field.annotation for field in model.model_fields.values()]
    while waiting:
        annotation = waiting.pop()
        waiting += getattr(annotation, "__args__", ())
        waiting += getattr(annotation, "__metadata__", ()) and [annotation.__origin__]
        if isinstance(annotation, type) and issubclass(annotation, Section):
            found |= fields(annotation)
    return found


def places(value: Any, path: tuple = ()) -> Iterator[tuple]:
    """The path of every value and of every item of a document, and of every key of one (it ends in None)."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        if isinstance(value, dict):
            yield (*path, key, None)
        yield from places(inner, (*path, key))


def written(document: dict[str, Any], path: tuple, text: str) -> dict[str, Any]:
    """The document with that text in that place."""
    changed = copy.deepcopy(document)
    *steps, last = path[:-1] if path[-1] is None else path
    inner = changed
    for step in steps:
        inner = inner[step]
    if path[-1] is None:
        inner[text] = inner.pop(last)
    else:
        inner[last] = text
    return changed


@pytest.mark.parametrize(("model", "document"), [(Params, everything()), (DataLock, LOCK)])
def test_f54_no_field_of_params_or_of_the_data_lock_takes_shell_text(model, document):
    """Each field, each item and each key, also behind a text that is right there."""
    parse(model, Path("x.yml"), document)
    assert {name for path in places(document) for name in path if isinstance(name, str)} >= fields(model)
    accepted = []
    for path in places(document):
        right = str(path[-2] if path[-1] is None else _at(document, path))
        for text in TEXTS:
            for hostile in (text, right + text):
                try:
                    parse(model, Path("x.yml"), written(document, path, hostile))
                except ProjectError:
                    continue
                accepted.append((path, hostile))
    assert accepted == []


def _at(document: Any, path: tuple) -> Any:
    for step in path:
        document = document[step]
    return document


@pytest.fixture
def canary(tmp_path) -> Iterator[Path]:
    """A file that shell text would make, if somebody ran it."""
    found = tmp_path / "canary"
    yield found
    assert not found.exists()


ECHO = """
import json, os, sys
print("said", json.dumps([sys.argv[1:], os.environ.get("TOLD")]))
"""


def test_f54_a_container_gets_shell_text_as_it_was_written(localcloud, canary):
    """Hyperparameters, arguments and environment of a training and of a processing job."""
    lab, texts = Lab(localcloud), [text.format(canary) for text in TEXTS]
    given = {f"p{number}": json.dumps(text) for number, text in enumerate(texts)}
    training = lab.training(ECHO, HyperParameters=given, Environment={"TOLD": texts[0]})
    words = [text for text in texts if "\n" not in text]  # which SageMaker takes in no argument
    processing = lab.processing(ECHO, words, Environment={"TOLD": texts[0]})
    lab.sagemaker.create_training_job(**training)
    lab.sagemaker.create_processing_job(**processing)
    assert lab.trained(training["TrainingJobName"])["TrainingJobStatus"] == "Completed"
    assert lab.processed(processing["ProcessingJobName"])["ProcessingJobStatus"] == "Completed"
    assert said(lab, "Training", training["TrainingJobName"]) == [
        [word for number, text in enumerate(texts) for word in (f"--p{number}", text)],  # as they were, in order
        texts[0],
    ]
    assert said(lab, "Processing", processing["ProcessingJobName"]) == [words, texts[0]]


def said(lab: Lab, kind: str, name: str) -> Any:
    (line,) = [line for line in lab.log(f"/aws/sagemaker/{kind}Jobs", name) if line.startswith("said ")]
    return json.loads(line.removeprefix("said "))


PYTHON = f"""#!{sys.executable}
import json, sys
print("said", json.dumps(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    "spec", ["buildspec.yml", *(f"infra/buildspecs/{name}.yml" for name in ("data", "deploy", "image"))]
)
def test_f54_what_an_event_tells_a_build_is_no_shell_text_to_it(tmp_path, canary, spec):
    """The shipped buildspecs, with every variable that a rule or infra sets holding shell text."""
    tools, source, lines = tmp_path / "tools", tmp_path / "source", list[str]()
    tools.mkdir()
    source.mkdir()
    (tools / "python").write_text(PYTHON)
    (tools / "python").chmod(0o755)
    (tools / "uv").symlink_to(shutil.which("true"))
    document = parse_buildspec((ROOT / spec).read_text())
    names = ("COMMIT", "SEQUENCE", "MANIFEST", "ENVIRONMENT", "IMAGE_STORE", "EXECUTION", "EVENT_BUS")
    text = " ".join(TEXTS).format(canary)
    told = {"PATH": f"{tools}:/usr/bin:/bin", **dict.fromkeys(names, text), **document.env.variables}
    processes = Processes()
    try:
        place = Container(source, tmp_path / "shell", told, lines.append, processes, Halt(processes))
        assert run(document, place, Phases(place.say)).status == "SUCCEEDED", lines
    finally:
        processes.stop_all()
    arguments = [json.loads(line.removeprefix("said ")) for line in lines if line.startswith("said ")]
    assert [words[0] for words in arguments] == ["-m"]
    assert set(arguments[0][1:]) & {"pipelines", "gitops"}
    assert len(arguments[0]) < 6  # and the text is one word, if it is told at all
