"""What a change of deploy/<environment>/<model>.yml makes of an endpoint: values, evidence, cost per month."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from gitops import deployment
from gitops.deployment import Deployment
from gitops.planning import callouts, evidence
from gitops.planning.differences import difference, flatten
from gitops.planning.prices import HOURS_PER_MONTH, Prices
from pipelines.errors import ProjectError


@dataclass(frozen=True)
class Endpoint:
    """The plan of one deploy file."""

    path: str
    environment: str
    model: str
    releases: tuple[str, str]  # before and after, in words
    differences: list[str]  # of everything but the release
    metrics: list[tuple[str, str, str, str]]  # metric, before, after, difference
    monthly: tuple[float | None, float | None]  # USD, before and after
    most: float | None  # USD a month when scaled out as far as it may be
    rollback: str
    warnings: list[str]
    problems: list[str]


def plan(roots: tuple[Path, Path], path: str, prices: Prices, now: datetime) -> Endpoint | None:
    """The plan of one deploy file; None if it is gone. Raises ProjectError of the head's side."""
    if not (roots[1] / path).is_file():
        return None
    after = deployment.load(roots[1] / path)
    before = _before(roots[0] / path)
    environment, model = Path(path).parent.name, after.model
    old, new = (side.release if side else None for side in (before, after))
    lines = [evidence.release_line(roots[1], model, one, now) if one else "none" for one in (old, new)]
    records = [evidence.record(roots[1], model, one.id) if one else None for one in (old, new)]
    return Endpoint(
        path=path,
        environment=environment,
        model=model,
        releases=(lines[0], lines[1]),
        differences=difference(_settings(before), _settings(after)),
        metrics=evidence.deltas(*records) if old != new and any(records) else [],
        monthly=(monthly(before, prices), monthly(after, prices)),
        most=monthly(after, prices, most=True),
        rollback=f"python -m gitops rollback {environment} {model}",
        warnings=_warnings(before, after, path, records[1] is not None) + _strange(roots[0], path, after),
        problems=callouts.contradictions(path, after.release, records[1]) if after.release else [],
    )


def _before(file: Path) -> Deployment | None:
    try:
        return deployment.load(file) if file.is_file() else None
    except ProjectError:
        return None


def _settings(side: Deployment | None) -> dict[str, object]:
    """Every value but the release, defaults included: what is left out is the default's, not nothing."""
    return flatten(side.model_dump(mode="json", exclude={"release"}, exclude_none=True)) if side else {}


def monthly(side: Deployment | None, prices: Prices, most: bool = False) -> float | None:
    """USD of a month of 730 hours; 0 without a release, None where the table has no price."""
    if side is None or side.release is None:
        return 0.0
    beside = [one.instances for one in (side.challenger, side.shadow) if one]
    main = side.autoscaling.max if most and side.autoscaling else side.serving.instances
    return prices.usd(side.serving.instance_type, HOURS_PER_MONTH * 3600, main + sum(beside))


def _strange(root: Path, path: str, after: Deployment) -> list[str]:
    """Compared with every release that the base has of the model, in whichever environment."""
    sides = [_before(file) for file in sorted((root / "deploy").glob(f"*/{after.model}.yml"))]
    known = [side.release for side in sides if side and side.release]
    return [line for one in after.releases.values() for line in callouts.strange(path, one, known)]


def _warnings(before: Deployment | None, after: Deployment, path: str, known: bool) -> list[str]:
    found = []
    if after.release and not known:
        found.append(f"{path}: {after.release.id} has no record in releases/, so nobody can see how it was measured")
    if before and before.release and after.release and before.release.version > after.release.version:
        found.append(f"{path}: goes back from version {before.release.version} to {after.release.version}")
    if before and before.release and after.release is None:
        found.append(f"{path}: release becomes null; the endpoint itself stays, only teardown removes it")
    return found
