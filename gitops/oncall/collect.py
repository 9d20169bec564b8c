"""Endpoint configs and models that nothing needs any more: python -m gitops collect [--yes] [--keep N] [--hours H]

Their names are their content and say no environment, so all environments are looked at together. Kept is whatever an
endpoint serves or is coming to, what the deploy files ask for, the releases they asked for before (N of each), and
everything younger than H hours: a deploy build may be at work on it. Says what it would delete; deletes with --yes.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gitops import aws, deployment, git
from gitops.deployment import Release
from gitops.errors import GitopsError
from gitops.oncall import catalogue, history
from gitops.oncall.catalogue import Config

KEEP, HOURS = 3, 24.0
Say = Callable[[str], None]


@dataclass(frozen=True)
class Sweep:
    """What is deleted, and why each config that stays is kept."""

    configs: tuple[str, ...]
    models: tuple[str, ...]
    kept: Mapping[str, str]


@dataclass(frozen=True)
class References:
    """What may not be deleted."""

    endpoints: Mapping[str, str]  # config -> the endpoint that serves it
    releases: Iterable[Release]  # of git
    young: dt.datetime  # anything made after this stays


def sweep(configs: Iterable[Config], models: Mapping[str, dt.datetime], needed: References) -> Sweep:
    """Decide, purely: the configs no reference names, and the models no config that stays uses."""
    archives = {(release.archive_uri, release.image): release.id for release in needed.releases}
    kept, gone, used = {}, [], set()
    for config in configs:
        reason = _reason(config, needed, archives)
        if reason:
            kept[config.name] = reason
            used |= set(config.models)
        else:
            gone.append(config.name)
    unused = [name for name, created in models.items() if name not in used and created < needed.young]
    return Sweep(tuple(sorted(gone)), tuple(sorted(unused)), kept)


def _reason(config: Config, needed: References, archives: Mapping[tuple[str, str], str]) -> str:
    if config.name in needed.endpoints:
        return f"serves {needed.endpoints[config.name]}"
    named = sorted(archives[archive] for archive in config.archives if archive in archives)
    if named:
        return f"git names {', '.join(named)}"
    return "" if config.created < needed.young else "is young"


def releases(root: Path, environments: Iterable[str], keep: int) -> list[Release]:
    """What every deploy file asks for, and the `keep` releases each asked for before."""
    head = git.commit("HEAD", root)
    found: list[Release] = []
    for environment in environments:
        for file in sorted((root / "deploy" / environment).glob("[!_]*.yml")):
            found += deployment.load(file).releases.values()
            versions = history.versions(file.relative_to(root).as_posix(), head, root)
            past = list({one.release.id: one.release for one in versions if one.release}.values())
            found += past[: keep + 1]
    return found


@dataclass(frozen=True)
class Collector:
    """One project's leftovers on SageMaker."""

    sagemaker: Any
    root: Path
    project: str
    environments: tuple[str, ...]
    say: Say = print

    def run(self, act: bool, keep: int = KEEP, hours: float = HOURS) -> Sweep:
        """Say what nothing references and, if `act`, delete it."""
        prefix = f"{self.project}-"
        # SageMaker's clock made the times that this is compared with; this machine's may be days ahead
        now = aws.told(self.sagemaker.list_endpoints(MaxResults=1))
        if now is None:
            raise GitopsError("SageMaker answered without a date, so nobody knows what is young; nothing is deleted")
        young = now + dt.timedelta(seconds=1) - dt.timedelta(hours=hours)  # the date is cut to the second
        models = catalogue.models(self.sagemaker, prefix)  # before the configs: one made meanwhile uses none of these
        configs = catalogue.configs(self.sagemaker, prefix)
        needed = References(
            catalogue.in_use(self.sagemaker, prefix), releases(self.root, self.environments, keep), young
        )
        found = sweep(configs, models, needed)
        for name, reason in sorted(found.kept.items()):
            self.say(f"keep    {name}: {reason}")
        for name in (*found.configs, *found.models):
            self.say(f"{'delete ' if act else 'would delete'} {name}")
        if act:
            self._delete(found, prefix)
        count = f"{len(found.configs)} endpoint config(s) and {len(found.models)} model(s)"
        self.say(f"{count} deleted" if act else f"{count} are referenced by nothing; --yes deletes them")
        return found

    def _delete(self, found: Sweep, prefix: str) -> None:
        for name in found.configs:
            # asked again before each: SageMaker itself would delete a config that an endpoint serves
            serving = catalogue.in_use(self.sagemaker, prefix).get(name)
            if serving:
                self.say(f"keep    {name}: {serving} has come to serve it meanwhile")
                continue
            self.sagemaker.delete_endpoint_config(EndpointConfigName=name)
        still = {model for config in catalogue.configs(self.sagemaker, prefix) for model in config.models}
        for name in found.models:
            if name not in still:
                self.sagemaker.delete_model(ModelName=name)
