"""The commands of whoever is on call."""

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from gitops.commands.desk import ATTEMPTS_FOR_A_PERSON, amount, desk
from gitops.errors import GitopsError
from gitops.settings import Settings

Command = Callable[[argparse.Namespace, Settings], int]


def add_parsers(verbs: Any) -> None:
    """The commands' arguments, added to `python -m gitops`'s own."""
    status = verbs.add_parser("status", help="what git asks for and what is live")
    status.add_argument("--json", action="store_true", help="as JSON")
    status.add_argument("--check", action="store_true", help="exit code 1 unless all is Synced and Healthy")
    sync = verbs.add_parser("sync", help="make an environment what git says, now: its deploy build, followed")
    sync.add_argument("environment")
    rollback = verbs.add_parser("rollback", help="ask git for an earlier release: a merge request of one file")
    _place(rollback)
    rollback.add_argument("--to", default="", metavar="RELEASE", help="release id; default: the one before")
    replay = verbs.add_parser("replay", help="events that no build took: list them, put them back")
    replay.add_argument("message", nargs="?", default="", metavar="MESSAGE_ID")
    replay.add_argument("--all", action="store_true", help="put every event back")
    replay.add_argument("--list", action="store_true", help="only show them (the default)")
    recover = verbs.add_parser("recover", help="bring an endpoint back that is Failed or UpdateRollbackFailed")
    _place(recover)
    recover.add_argument("--yes", action="store_true", help="take the steps that are shown")
    collect = verbs.add_parser("collect", help="delete endpoint configs and models that nothing references")
    collect.add_argument("--yes", action="store_true", help="delete what is shown")
    collect.add_argument("--keep", type=int, default=3, metavar="N", help="earlier releases of each file (default 3)")
    collect.add_argument("--hours", type=amount, default=24.0, metavar="H", help="younger ones stay (default 24)")
    teardown = verbs.add_parser("teardown", help="the end of an endpoint: ask git, then delete it")
    _place(teardown)
    teardown.add_argument("--delete", default="", metavar="ENDPOINT", help="the second step: the name, typed out")


def _place(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("environment")
    parser.add_argument("model")


def status(arguments: argparse.Namespace, settings: Settings) -> int:
    """Git beside what is live."""
    from gitops.oncall import status as looking

    here = desk(settings, attempts=ATTEMPTS_FOR_A_PERSON)
    found = looking.rows(here.client("sagemaker"), here.root, here.team.project, here.team.environments)
    found, silence = looking.asked(found, here.host)
    if arguments.json:
        print(json.dumps([asdict(row) | {"requests_known": not silence} for row in found], indent=2))
    else:
        print(looking.table(found, silence))
    return 1 if arguments.check and not all(row.well for row in found) else 0


def sync(arguments: argparse.Namespace, settings: Settings) -> int:
    """An environment's deploy build is started with the newest commit, and followed."""
    from gitops import aws
    from gitops.oncall import sync as syncing

    here = desk(settings, attempts=ATTEMPTS_FOR_A_PERSON)
    build_project = f"{here.team.project}-deploy-{here.environment(arguments.environment)}"
    with aws.explained():
        cloud = syncing.Cloud(here.client("s3"), here.client("codebuild"), here.client("logs"), here.bucket)
        return 0 if syncing.sync(cloud, build_project) else 1


def rollback(arguments: argparse.Namespace, settings: Settings) -> int:
    """An earlier release is asked for in git."""
    from gitops.oncall import rollback as rolling

    here = desk(settings, attempts=ATTEMPTS_FOR_A_PERSON)
    slot = here.slot(arguments)
    rolling.rollback(here.host(), slot, arguments.to, here.automatic(slot))
    return 0


def replay(arguments: argparse.Namespace, settings: Settings) -> int:
    """What lies in the dead-letter queue is shown, or put back."""
    import datetime as dt

    from gitops import aws
    from gitops.events import replay as replaying

    here = desk(settings, attempts=ATTEMPTS_FOR_A_PERSON)
    with aws.explained():
        queue = replaying.queue_name(here.team.project)
        replayer = replaying.Replayer(here.client("sqs"), here.client("events"), here.client("codebuild"), queue)
        with replayer.letters() as letters:
            chosen = [one for one in letters if arguments.all or one.message == arguments.message]
            if arguments.message and not chosen:
                raise GitopsError(f"{arguments.message}: is not in {queue}; python -m gitops replay lists what is")
            if arguments.list or not chosen:
                print("\n".join(one.line(dt.datetime.now(dt.UTC)) for one in letters) or f"{queue}: is empty")
                return 0
            failures = replayer.replay(chosen)
    for failure in failures:
        print(f"failed: {failure}")
    return 1 if failures else 0


def recover(arguments: argparse.Namespace, settings: Settings) -> int:
    """An endpoint that failed is brought back to its last good release."""
    from gitops.oncall import recover as recovering

    here = desk(settings, attempts=ATTEMPTS_FOR_A_PERSON)
    clients = [here.client(name) for name in ("sagemaker", "sagemaker-runtime", "s3")]
    recovering.recover(recovering.Cloud(*clients), here.slot(arguments), here.team.project, arguments.yes)
    return 0


def collect(arguments: argparse.Namespace, settings: Settings) -> int:
    """What nothing references is shown, or deleted."""
    from gitops import aws
    from gitops.oncall import collect as collecting

    here = desk(settings, attempts=ATTEMPTS_FOR_A_PERSON)
    collector = collecting.Collector(here.client("sagemaker"), here.root, here.team.project, here.team.environments)
    with aws.explained():
        collector.run(arguments.yes, max(arguments.keep, 1), arguments.hours)
    return 0


def teardown(arguments: argparse.Namespace, settings: Settings) -> int:
    """An endpoint's end is asked for in git, or, when that is merged, carried out."""
    from gitops.oncall import teardown as tearing

    here = desk(settings, attempts=ATTEMPTS_FOR_A_PERSON)
    slot = here.slot(arguments)
    endpoint = tearing.checked(arguments.delete, here.team.project, slot)
    if arguments.delete:
        tearing.delete(here.host(), here.client("sagemaker"), slot, endpoint)
    else:
        tearing.mark(here.host(), slot, endpoint)
    return 0


COMMANDS: dict[str, Command] = {
    "status": status,
    "sync": sync,
    "rollback": rollback,
    "replay": replay,
    "recover": recover,
    "collect": collect,
    "teardown": teardown,
}
