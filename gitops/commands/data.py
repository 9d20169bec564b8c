"""What a model is trained on, and what came of its answers."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gitops.commands.desk import Desk, amount, desk
from gitops.errors import GitopsError
from gitops.settings import Settings

Command = Callable[[argparse.Namespace, Settings], int]

REASONS = ("new-partition", "schedule", "drift", "backfill", "manual")


def add_parsers(verbs: Any) -> None:
    """Their arguments."""
    data = verbs.add_parser("data", help="add partitions to a data lock")
    data.add_argument("params", help="for example params/ncf.yml")
    data.add_argument("--add", nargs="+", action="extend", default=[], metavar="KEY", help="S3 keys of the bucket")
    data.add_argument("--from-manifest", metavar="KEY_OR_FILE", help="a SageMaker manifest that lists keys")
    data.add_argument("--events", nargs="+", action="extend", default=[], metavar="DAY", help="feedback of closed days")
    data.add_argument("--event-types", nargs="+", default=["purchase"], metavar="TYPE", help="default: purchase")
    data.add_argument("--reason", choices=REASONS, default="new-partition")
    data.add_argument("--dataset", default="", help="the data set's name, for a lock that is not there yet")
    relock = verbs.add_parser("relock", help="propose a data lock with the partitions that came")
    relock.add_argument("params", nargs="?", help="for example params/ncf.yml (default: all)")
    relock.add_argument("--from-manifest", metavar="KEY_OR_FILE", help="a SageMaker manifest (default: what is new)")
    relock.add_argument("--reason", choices=REASONS, default="new-partition")
    verbs.add_parser("refresh", help="new data, feedback and drift, as the scheduled build looks for them")
    drift = verbs.add_parser("drift", help="compare captured requests with the training data")
    drift.add_argument("params", help="for example params/ncf.yml")
    drift.add_argument("--environment", default="production")
    drift.add_argument("--hours", type=amount, default=24.0, help="how far back (default 24)")
    drift.add_argument("--json", action="store_true", help="as JSON")
    drift.add_argument("--propose", action="store_true", help="if they have drifted, propose a data lock")
    feedback = verbs.add_parser("feedback", help="what came of the answers: events joined with captured answers")
    feedback.add_argument("--from", required=True, dest="first", metavar="DAY")
    feedback.add_argument("--to", required=True, dest="last", metavar="DAY")
    feedback.add_argument("--model", default="ncf")
    feedback.add_argument("--environment", help="default: the last of project.yml")
    feedback.add_argument("--json", action="store_true", help="as JSON")
    compare = verbs.add_parser("compare-shadow", help="a shadow's captured answers beside production's")
    compare.add_argument("environment")
    compare.add_argument("model")
    compare.add_argument("--hours", type=amount, default=24.0, help="how far back (default 24)")
    compare.add_argument("--json", action="store_true", help="as JSON")


def data(arguments: argparse.Namespace, settings: Settings) -> int:
    """Partitions are measured and locked."""
    from gitops import aws
    from gitops.data import lockfile
    from pipelines import project

    if not (arguments.add or arguments.from_manifest or arguments.events):
        raise GitopsError("data: nothing to add; give --add <s3 key>, --from-manifest <key or file> or --events <day>")
    params_file = Path(arguments.params)
    root = project.find_root(params_file)
    here = desk(settings, root)
    lock = lockfile.lock_path(params_file, root)
    with aws.explained():
        s3, bucket = here.client("s3"), here.bucket
        keys = [lockfile.bare(key, bucket) for key in arguments.add]
        if arguments.from_manifest:
            keys += lockfile.manifest(s3, bucket, arguments.from_manifest)
        if arguments.events:
            keys += _event_partitions(arguments, s3, bucket, lock)
            if not keys:
                return 0
        found = [lockfile.measure(s3, bucket, key) for key in dict.fromkeys(keys)]
    words = {"dataset": arguments.dataset, "reason": arguments.reason}
    new, total = lockfile.add(lock, found, words)
    print(f"{lock}: {new} partitions added, {total} in all" if new else f"{lock}: all of them are locked already")
    return 0


def _event_partitions(arguments: argparse.Namespace, s3: Any, bucket: str, lock: Path) -> list[str]:
    """The days' events as partitions; their keys."""
    from gitops.data import feedback
    from pipelines import documents, models, params

    file = Path(arguments.params)
    columns = models.parse(params.Columns, file, documents.load(file).get("columns") or {})
    known = params.load_lock(lock).dataset if lock.exists() else arguments.dataset
    if arguments.dataset not in {"", known}:  # before anything is written
        raise GitopsError(f"{lock}: locks {known}, not {arguments.dataset}; give another data set its own lock file")
    if not known:
        raise GitopsError(f"{lock}: is not there, so --dataset must name the data set that the events are of")
    days = [feedback.day_of(text) for text in dict.fromkeys(arguments.events)]
    made = [feedback.compact(s3, bucket, (day, known), columns, arguments.event_types) for day in days]
    return [key for key in made if key]


def relock(arguments: argparse.Namespace, settings: Settings) -> int:
    """New partitions become a data lock's commit, by merge request; without arguments, of every model."""
    from gitops import aws
    from gitops.data import relock as relocking

    here = desk(settings)
    manifest = arguments.from_manifest or settings.manifest
    files = [Path(arguments.params)] if arguments.params else relocking.params_files(here.root, settings.manifest)
    with aws.explained():
        relocker = relocking.Relocker(here.host(), here.client("s3"), here.bucket)
        for file in files:
            relocker.relock(file, arguments.reason, manifest)
    return 0


def drift(arguments: argparse.Namespace, settings: Settings) -> int:
    """Captured requests beside the training data; with --propose, a data lock if they have drifted apart."""
    from dataclasses import asdict
    from datetime import timedelta

    from gitops import aws, deployment
    from gitops.data import drift, refresh
    from pipelines import params

    here, file = desk(settings), Path(arguments.params)
    environment, model = here.environment(arguments.environment), params.model_name(file)
    asked = deployment.load(here.root / "deploy" / environment / f"{model}.yml")
    if asked.release is None or asked.capture is None:
        lacks = "has no release" if asked.release is None else "captures nothing (capture, docs/delivery.md)"
        print(f"{environment}: {model} {lacks}, so there is nothing to compare")
        return 0
    with aws.explained():
        refresher, now = _refresher(here, environment, arguments.propose), refresh.now()
        found = refresher.observe(file, asked.release, (now - timedelta(hours=arguments.hours), now))
        print(json.dumps(asdict(found), indent=2) if arguments.json else drift.markdown(found), end="")
        if arguments.propose and found.verdict == "drifted":
            refresher.propose(file, found)
    return 0


def refresh(arguments: argparse.Namespace, settings: Settings) -> int:
    """New data, feedback and drift, as the scheduled build looks for them."""
    from gitops import aws
    from gitops.data import refresh as refreshing

    here = desk(settings)
    with aws.explained():
        refresher = _refresher(here, here.team.environments[-1], writes=True)
        if settings.manifest:
            refresher.manifest(settings.manifest)
            return 0
        failures = refresher.everything(refreshing.now())
    for failure in failures:
        print(f"failed: {failure}")
    return 1 if failures else 0


def _refresher(here: Desk, environment: str, writes: bool) -> Any:
    """What looks after data; the git host is asked for only where something may be written to it."""
    from gitops.data import refresh, relock

    host: Any = here.host() if writes else None
    relocker = relock.Relocker(host, here.client("s3"), here.bucket)
    return refresh.Refresher(relocker, here.team.project, environment, here.root)


def feedback(arguments: argparse.Namespace, settings: Settings) -> int:
    """Events beside the answers they came of."""
    from datetime import timedelta

    from gitops import aws, specs
    from gitops.data import answers
    from gitops.data import feedback as events

    here = desk(settings)
    first, last = events.day_of(arguments.first), events.day_of(arguments.last)
    if last < first:
        raise GitopsError(f"--to {last}: is before --from {first}; turn them round")
    environment = here.environment(arguments.environment or here.team.environments[-1])
    endpoint = specs.endpoint_name(here.team.project, arguments.model, environment)
    with aws.explained():
        s3 = here.client("s3")
        where = answers.captured(here.client("sagemaker"), endpoint)
        done = events.recommended(events.of_days(s3, here.bucket, first, last))
        report = answers.join(answers.read(s3, where, first - timedelta(days=answers.BEFORE_DAYS), last), done)
    print(json.dumps({"rows": report.rows, "unknown": report.unknown}) if arguments.json else answers.table(report))
    return 0


def compare_shadow(arguments: argparse.Namespace, settings: Settings) -> int:
    """What the shadow of an endpoint would have answered."""
    from dataclasses import asdict

    from gitops import aws, specs
    from gitops.data import shadow

    here = desk(settings)
    environment = here.environment(arguments.environment)
    endpoint = specs.endpoint_name(here.team.project, arguments.model, environment)
    with aws.explained():
        clients = shadow.Clients(here.client("sagemaker"), here.client("s3"), here.client("cloudwatch"))
        found = shadow.compare_shadow(clients, endpoint, arguments.hours)
    print(json.dumps(asdict(found), indent=2) if arguments.json else shadow.table(found))
    return 0


COMMANDS: dict[str, Command] = {
    "data": data,
    "relock": relock,
    "drift": drift,
    "refresh": refresh,
    "feedback": feedback,
    "compare-shadow": compare_shadow,
}
