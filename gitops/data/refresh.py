"""What new data and the hour bring: python -m gitops refresh

With a manifest, its partitions are proposed for the model that its key names. Without one, for every model: feedback of
closed days becomes partitions, everything new is proposed, and live requests are compared with the training data.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from gitops import deployment, specs
from gitops.data import drift, feedback, monitor, relock
from pipelines import params
from pipelines.errors import ProjectError

DAYS = 7  # closed days whose feedback is looked for: a build that failed is made up for
HOURS = 24  # of captured requests that are compared
Say = Callable[[str], None]


@dataclass(frozen=True)
class Refresher:
    """One project in the tree at `root`."""

    relocker: relock.Relocker
    project: str
    environment: str  # whose endpoint is watched
    root: Path

    def manifest(self, key: str) -> None:
        """Propose what the manifest lists."""
        for file in relock.params_files(self.root, key):
            self.relocker.relock(file, "new-partition", key)

    def everything(self, now: datetime) -> list[str]:
        """Look after every model; the failures, each a line: one model's does not stop the others."""
        failures = []
        for file in relock.params_files(self.root):
            for step in (self._feedback, self._new, self._drift):
                try:
                    step(file, now)
                except ProjectError as error:
                    failures.append(f"{file.name}: {error}")
        return failures

    def _feedback(self, file: Path, now: datetime) -> None:
        """Feedback of closed days, as partitions beside the data set's own; params say which events count."""
        wanted = params.load(file)
        dataset = self.relocker.locked(wanted.data).dataset
        for day in closed_days(now.date()) if wanted.refresh.events else ():
            feedback.compact(self._s3, self.relocker.bucket, (day, dataset), wanted.columns, wanted.refresh.events)

    def _new(self, file: Path, now: datetime) -> None:
        self.relocker.relock(file, "schedule")

    def _drift(self, file: Path, now: datetime) -> None:
        """Compare, and propose what is new if requests have drifted."""
        model = params.model_name(file)
        place = self.root / "deploy" / self.environment / f"{model}.yml"
        asked = deployment.load(place) if place.is_file() else None
        if asked is None or asked.release is None or asked.capture is None:
            self.relocker.say(f"{model}: {self.environment} captures nothing, so drift is not looked for")
            return
        report = self.observe(file, asked.release, (now - timedelta(hours=HOURS), now))
        self.relocker.say(drift.markdown(report))
        if report.verdict == "drifted":
            self.propose(file, report)

    def observe(self, file: Path, release: deployment.Release, hours: tuple[datetime, datetime]) -> drift.Report:
        """Live requests of these hours beside the data that the release was trained on."""
        policy = params.load(file).refresh
        endpoint = specs.endpoint_name(self.project, params.model_name(file), self.environment)
        limits = drift.Limits(policy.max_psi, policy.max_unknown_users, policy.min_requests)
        return monitor.observe(self._s3, release, monitor.Window(endpoint, *hours), limits)

    def propose(self, file: Path, report: drift.Report) -> None:
        """What is new, because of drift."""
        wanted = params.load(file)
        order = relock.Order(wanted.data, "drift", wanted.refresh.automatic("drift"), drift.markdown(report))
        self.relocker.propose(order, self.relocker.new_keys(self.relocker.locked(wanted.data)))

    @property
    def _s3(self) -> Any:
        return self.relocker.s3


def closed_days(today: date) -> Iterator[date]:
    """The last days that take no more events, the earliest first."""
    newest = today - timedelta(days=feedback.LATE_DAYS + 1)
    return (newest - timedelta(days=ago) for ago in reversed(range(DAYS)))


def now() -> datetime:
    """The moment, in UTC."""
    return datetime.now(UTC)
