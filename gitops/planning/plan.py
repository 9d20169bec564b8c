"""What a change would do: python -m gitops plan --base main --head HEAD [--post]

Works offline, without credentials: it reads data of two commits of git. Neither is checked out and nothing of either
is run, so that a stranger's merge request can be planned; pipelines are compiled by this program's own code.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gitops import deployment, git, ledger, policy
from gitops.errors import GitopsError
from gitops.planning import callouts, endpoints, estimates, evidence, prices, quarantine, secrets, training, trees
from gitops.planning.differences import difference, flatten
from gitops.planning.endpoints import Endpoint
from gitops.planning.estimates import History
from gitops.planning.quarantine import Memory, Prepared
from gitops.planning.text import render
from gitops.planning.training import Known, Training
from pipelines import documents, gates, models, params, project
from pipelines.errors import ProjectError

__all__ = ["Outlook", "Plan", "difference", "flatten", "plan", "render"]
MODELS = 40  # that are compiled, each in a second or less: a plan is no way to keep a machine busy
READ = ("project.yml", "params", "deploy", "releases", "processing_code", "training_code", "buildspec.yml")
# a pipeline's name and region -> how long its steps took; None where that is not known
Recall = Callable[[str, str], History | None]
# likewise -> what its last runs counted of their data; None where nobody could be asked
Counted = Callable[[str, str], list[Prepared] | None]


@dataclass
class Plan:
    """What is known about a change."""

    base: str  # where head left it
    head: str
    tip: str  # where the base branch is now
    paths: list[str]
    differences: dict[str, list[str]] = field(default_factory=dict)  # per YAML file that no model or endpoint explains
    loosened: list[str] = field(default_factory=list)  # rules of a gate that ask for less
    trainings: list[Training] = field(default_factory=list)
    endpoints: list[Endpoint] = field(default_factory=list)
    locks: dict[str, str] = field(default_factory=dict)  # path -> sha256 of the data, at the base
    checked: list[str] = field(default_factory=list)
    compiled: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    prices: str = ""


@dataclass(frozen=True)
class Outlook:
    """What a plan is told besides git: the prices, how to recall durations, the time, and how to recall counts."""

    prices: prices.Prices
    recall: Recall
    now: datetime
    counted: Counted = lambda pipeline, region: None


def offline() -> Outlook:
    """An outlook that asks nobody."""
    return Outlook(prices.load(), lambda pipeline, region: None, datetime.now(UTC))


def plan(base: str, head: str, outlook: Outlook | None = None) -> Plan:
    """Read the change from where `head` left `base`; never raises for what is wrong in the head's files."""
    head_sha, tip = git.commit(head), git.commit(base)
    base_sha = _parting(tip, head_sha)
    found = Plan(base_sha, head_sha, tip, git.changed(base_sha, head_sha))
    with tempfile.TemporaryDirectory(prefix="plan-") as folder:
        roots = Path(folder) / "base", Path(folder) / "head"
        for root, sha in zip(roots, (base_sha, head_sha), strict=True):
            root.mkdir()
            left = trees.write(sha, root, {*READ, *found.paths})
            found.problems += left if sha == head_sha else []
        _fill(found, roots, outlook or offline())
        found.problems = [_plain(problem, roots) for problem in found.problems]
    if found.tip != found.base:
        found.stale.append(f"main moved on to {found.tip[:12]} since this branch left it; rebase, then plan again")
    return found


def _parting(tip: str, head: str) -> str:
    """Where the head left the base; GitopsError for a head of another history, or of a clone that has too little."""
    try:
        return git.text("merge-base", tip, head)
    except GitopsError as error:
        raise GitopsError(
            f"{head[:12]}: has no commit in common with {tip[:12]}; clone in full (GIT_DEPTH: 0 in CI), or rebase"
        ) from error


def _fill(found: Plan, roots: tuple[Path, Path], outlook: Outlook) -> None:
    """Everything that is read from the two trees."""
    found.prices = outlook.prices.words
    found.problems += [
        f"{path}: the record of a release is never changed or removed; restore it from {found.base[:12]}"
        for path in ledger.rewritten(found.paths, git.changed("", found.base))
    ]
    found.problems += secrets.found(roots[1], found.paths) + callouts.emptied(found.paths, roots)
    found.warnings += callouts.warnings(found.paths, roots)
    _check(roots[1], found)
    for path in (path for path in found.paths if path.endswith(".yml") and path.startswith(("params/", "deploy/"))):
        found.loosened += [f"{path}: {sentence}" for sentence in _loosened(path, roots)]
    found.locks = dict(_locks(roots[0]))
    _models(found, roots, outlook)
    _endpoints(found, roots, outlook)
    explained = {one.path for one in found.trainings} | {one.path for one in found.endpoints}
    for path in found.paths:
        if path.endswith(".yml") and path.startswith(("params/", "deploy/")) and path not in explained:
            before, after = (_leaves(root / path) for root in roots)
            if after is not None:
                found.differences[path] = difference(before or {}, after)


def _plain(problem: str, roots: tuple[Path, Path]) -> str:
    for root in (*roots, Path.cwd()):
        problem = problem.replace(f"{root}/", "")
    return problem


def _models(found: Plan, roots: tuple[Path, Path], outlook: Outlook) -> None:
    if not training.concerned(found.paths):
        return
    if any(path.startswith("pipelines/") for path in found.paths):
        found.warnings.append(
            "pipelines/ changes: a plan never runs code of the head, so steps are those that main's own code compiles"
        )
    paths = [path for path in training.params_files(roots[1]) if path in found.checked]  # others are problems already
    if len(paths) > MODELS:
        found.warnings.append(f"params/: has {len(paths)} models; only the first {MODELS} are compiled here")
    for path in paths[:MODELS]:
        history, memory = _history(found, roots, path, outlook), _memory(roots, path, outlook)
        known = Known(history, outlook.prices, outlook.now, memory)
        try:
            one = training.plan(roots, path, known)
        except ProjectError as error:
            found.problems.append(f"{path}: {error}")
            continue
        found.compiled.append(path)
        found.trainings += [one] if one else []


def _history(found: Plan, roots: tuple[Path, Path], path: str, outlook: Outlook) -> History:
    """From SageMaker if it can be asked, else from the records in git."""
    team, name = project.load(roots[1]), Path(path).stem
    try:
        recalled = outlook.recall(f"{team.project}-{name}", team.region)
    except GitopsError as error:
        found.warnings.append(str(error))
        recalled = None
    return recalled or estimates.from_records(evidence.records(roots[0], name))


def _memory(roots: tuple[Path, Path], path: str, outlook: Outlook) -> Memory:
    """What past runs counted of their data: those that SageMaker lists, then those of the records in git."""
    team, name = project.load(roots[1]), Path(path).stem
    recorded = quarantine.from_records(evidence.records(roots[0], name))
    try:
        recalled = outlook.counted(f"{team.project}-{name}", team.region)
    except GitopsError as error:
        return Memory(recorded, str(error))
    if recalled is None:
        return Memory(recorded, f"no record in {ledger.FOLDER}/{name}/ is of this lock, and no credentials to ask AWS")
    return Memory([*recalled, *recorded])


def _endpoints(found: Plan, roots: tuple[Path, Path], outlook: Outlook) -> None:
    known = project.load(roots[1]).environments if project.FILE in found.checked else ()
    for path in (path for path in found.paths if path.startswith("deploy/") and path in found.checked):
        if Path(path).parent.name not in known:
            found.problems.append(f"{path}: its folder is no environment of project.yml; it has {', '.join(known)}")
            continue
        try:
            one = endpoints.plan(roots, path, outlook.prices, outlook.now)
        except ProjectError:
            continue  # a file of another kind, valid as such: its values are compared below
        if one:
            found.endpoints.append(one)
            found.warnings += one.warnings
            found.problems += one.problems


def _locks(root: Path) -> Iterator[tuple[str, str]]:
    for file in sorted((root / "params").glob("*.data.yml")):
        try:
            yield f"params/{file.name}", params.load_lock(file).sha256
        except ProjectError:
            continue  # a base whose lock is wrong has no data to compare with


def _leaves(file: Path) -> Mapping[str, Any] | None:
    """The file's values, none for a file that is not there; None for one that cannot be read, which is a problem."""
    try:
        return flatten(documents.load(file)) if file.is_file() else {}
    except ProjectError:
        return None


def _loosened(path: str, roots: tuple[Path, Path]) -> list[str]:
    """What a params file's gate asks less by; nothing for other files, or if a side has no gate that can be read."""
    if not path.startswith("params/") or path.endswith(".data.yml"):
        return []
    try:
        before, after = (_gate(root / path) for root in roots)
    except ProjectError:
        return []  # an error of the head's file is reported when all files are checked
    return gates.loosened(before, after) if before and after else []


def _gate(file: Path) -> gates.Gate | None:
    return models.parse(gates.Gate, file, documents.load(file).get("gate") or {}) if file.is_file() else None


def _check(root: Path, found: Plan) -> None:
    """Load every params and deploy file of the head, as main would."""
    for name, load in _loaders(root):
        try:
            load()
            found.checked.append(name)
        except ProjectError as error:
            found.problems.append(str(error))


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
