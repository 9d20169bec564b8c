"""What a change would do: python -m gitops plan --base main --head HEAD

Works offline, without credentials: it reads two trees of git and nothing else. Prints Markdown; what is wrong in
the head's files is an error, as it would be on main.
"""

import io
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gitops import changes, deployment, git, ledger, policy
from gitops.errors import GitopsError
from pipelines import documents, gates, models, params, project
from pipelines.errors import ProjectError

SHOWN = 20  # paths of a class; more are counted
ABSENT = "(absent)"


@dataclass
class Plan:
    """What is known about a change."""

    base: str
    head: str
    paths: list[str]
    differences: dict[str, list[str]] = field(default_factory=dict)  # per YAML file
    loosened: list[str] = field(default_factory=list)  # rules of a gate that ask for less
    checked: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def plan(base: str, head: str) -> Plan:
    """Read the change from where `head` left `base`; never raises for what is wrong in the head's files."""
    head_sha = git.commit(head)
    base_sha = git.text("merge-base", git.commit(base), head_sha)
    found = Plan(base_sha, head_sha, git.changed(base_sha, head_sha))
    for path in (path for path in found.paths if _configures(path)):
        found.differences[path] = _difference(path, base_sha, head_sha, found.problems)
        found.loosened += [f"{path}: {sentence}" for sentence in _loosened(path, base_sha, head_sha)]
    found.problems += [
        f"{path}: the record of a release is never changed or removed; restore it from {base_sha[:12]}"
        for path in ledger.rewritten(found.paths, _names(base_sha))
    ]
    _check(head_sha, found)
    return found


def _configures(path: str) -> bool:
    return path.endswith(".yml") and path.startswith(("params/", "deploy/"))


def _names(sha: str) -> list[str]:
    return git.changed("", sha)


def _difference(path: str, base: str, head: str, problems: list[str]) -> list[str]:
    sides: list[dict[str, Any]] = []
    for sha in (base, head):
        data = git.show(sha, path)
        try:
            text = None if data is None else data.decode("utf-8")
            sides.append({} if text is None else flatten(documents.load(Path(path), text)))
        except UnicodeDecodeError:
            sides.append({})
            problems.append(f"{path}: is not UTF-8 in {sha[:12]}; save it as UTF-8")
        except ProjectError:
            sides.append({})  # an error of the head's file is reported when all files are checked
    return difference(*sides)


def _loosened(path: str, base: str, head: str) -> list[str]:
    """What a params file's gate asks less by; nothing for other files, or if a side has no gate that can be read."""
    if not path.startswith("params/") or path.endswith(".data.yml"):
        return []
    try:
        before, after = (_gate(path, git.show(sha, path)) for sha in (base, head))
    except ProjectError:
        return []  # an error of the head's file is reported when all files are checked
    return gates.loosened(before, after) if before and after else []


def _gate(path: str, data: bytes | None) -> gates.Gate | None:
    if data is None:
        return None
    document = documents.load(Path(path), data.decode("utf-8", errors="replace"))
    return models.parse(gates.Gate, Path(path), document.get("gate") or {})


def flatten(document: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Leaves by dotted key; an entry of a list that has a `key` or is one of several goes by that or its place."""
    leaves: dict[str, Any] = {}
    for key, value in document.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            leaves.update(flatten(value, f"{name}."))
        elif isinstance(value, list) and value and all(isinstance(each, Mapping) for each in value):
            for place, each in enumerate(value):
                leaves.update(flatten(each, f"{name}[{each.get('key', place)}]."))
        else:
            leaves[name] = value
    return leaves


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """`hyperparameters.epochs: 10 -> 20` for each leaf that differs; formatting and order are no difference."""
    return [
        f"{key}: {_shown(before.get(key, ABSENT))} -> {_shown(after.get(key, ABSENT))}"
        for key in sorted(before.keys() | after.keys())
        if key not in before or key not in after or before[key] != after[key]
    ]


def _shown(value: Any) -> str:
    text = "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= 100 else text[:99] + "…"


def _check(head: str, found: Plan) -> None:
    """Load every params and deploy file of the head, as main would."""
    with tempfile.TemporaryDirectory(prefix="plan-") as folder:
        root = Path(folder)
        _extract(head, root)
        for name, load in _loaders(root):
            try:
                load()
                found.checked.append(name)
            except ProjectError as error:
                found.problems.append(str(error).replace(f"{root}/", ""))


def _extract(head: str, root: Path) -> None:
    there = [name for name in ("project.yml", "params", "deploy") if git.text("ls-tree", "--full-tree", head, name)]
    if there:
        archive = git.run("archive", "--format=tar", head, "--", *there)
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            tar.extractall(root, filter="data")


def _loaders(root: Path) -> Iterator[tuple[str, Any]]:
    yield project.FILE, lambda: project.load(root)
    for file in sorted((root / "params").glob("*.yml")):
        lock = file.name.endswith(".data.yml")
        yield f"params/{file.name}", (lambda f=file: params.load_lock(f)) if lock else (lambda f=file: _params(f, root))
    for file in sorted((root / "deploy").glob("*/*.yml")):
        load = policy.load if file.name == policy.FILE else deployment.load
        yield file.relative_to(root).as_posix(), lambda f=file, load=load: load(f)


def _params(file: Path, root: Path) -> None:
    named = params.load(file).data
    if not (root / named).is_file():
        raise GitopsError(f"{file}: data: {named} is not there; add it with python -m gitops data")


def render(found: Plan) -> str:
    """The plan as Markdown."""
    count = len(found.paths)
    lines = [f"### Plan: `{found.head[:12]}` on `{found.base[:12]}` · {count} changed path{'s' * (count != 1)}", ""]
    groups = changes.by_class(found.paths)
    for kind, paths in groups.items():
        lines += [f"**{kind.name}** · on main: {kind.on_main}"]
        lines += [f"- `{path}`" for path in paths[:SHOWN]]
        lines += [f"- and {len(paths) - SHOWN} more"] if len(paths) > SHOWN else []
        lines += [""]
    if not any(kind.on_main != "nothing" for kind in groups):
        lines += ["Nothing would be trained or deployed.", ""]
    for path, differences in found.differences.items():
        lines += [f"`{path}`:", *(f"- {each}" for each in differences or ["no value differs"]), ""]
    if found.loosened:
        lines += ["**The gate is loosened**", *(f"- {sentence}" for sentence in found.loosened), ""]
    if found.problems:
        lines += ["**Problems**", *(f"- {problem}" for problem in found.problems)]
    else:
        lines += [f"Checked {len(found.checked)} files of the head: all valid."]
    return "\n".join(lines) + "\n"
