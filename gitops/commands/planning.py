"""What a change would do, and what that costs."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gitops.commands.desk import desk
from gitops.errors import GitopsError
from gitops.settings import Settings

Command = Callable[[argparse.Namespace, Settings], int]


def add_parsers(verbs: Any) -> None:
    """Their arguments."""
    plan = verbs.add_parser("plan", help="what a change would do; offline, without credentials")
    plan.add_argument("--base", required=True, metavar="REF")
    plan.add_argument("--head", default="HEAD", metavar="REF")
    plan.add_argument("--post", action="store_true", help="as a comment on the head's merge request; needs GIT_TOKEN")
    prices = verbs.add_parser("prices", help="what estimates of cost are made from")
    prices.add_argument("--refresh", action="store_true", help="ask AWS's price list for the types this project uses")
    report = verbs.add_parser("report", help="write a run's report, with its steps, as one HTML file")
    report.add_argument("execution", metavar="ARN")
    report.add_argument("--output", required=True, metavar="FILE")


def plan(arguments: argparse.Namespace, settings: Settings) -> int:
    """What a change would do; exit code 1 if something in it is wrong."""
    from datetime import UTC, datetime

    from gitops.planning import plan as planning
    from gitops.planning import prices as pricing
    from gitops.planning import recall

    outlook = planning.Outlook(pricing.load(), recall.ask, datetime.now(UTC), recall.prepared)
    found = planning.plan(arguments.base, arguments.head, outlook)
    if arguments.post:
        from gitops.planning import post

        for request in post.post(desk(settings).host(), found):
            print(f"posted to {request.url}", file=sys.stderr)
    print(planning.render(found), end="")
    return 1 if found.problems else 0


def prices(arguments: argparse.Namespace, settings: Settings) -> int:
    """The price table, asked of AWS anew if that is wanted."""
    from datetime import UTC, datetime

    from gitops import aws
    from gitops.planning import prices as pricing

    if arguments.refresh:
        here = desk(settings)
        asked = pricing.Asked(
            here.region, pricing.used(here.root), frozenset(pricing.load().hourly), datetime.now(UTC).date()
        )
        with aws.explained():
            client = aws.client("pricing", pricing.API_REGION)
            found = pricing.refresh(client, asked)
        pricing.write(found)
    known = pricing.load()
    print(known.words)
    for name, hourly in known.hourly.items():
        print(f"{name}  {hourly:g} USD per hour")
    return 0


def report(arguments: argparse.Namespace, settings: Settings) -> int:
    """A run's report, completed by what SageMaker knows of the run."""
    from gitops import aws
    from gitops.oncall import report_store, run_report

    here = desk(settings)
    with aws.explained():
        sagemaker = here.client("sagemaker")
        run = run_report.read(sagemaker, arguments.execution)
        text = run_report.whole(report_store.evaluated(sagemaker, here.client("s3"), arguments.execution), run)
    try:
        Path(arguments.output).write_text(text, encoding="utf-8")
    except OSError as error:
        raise GitopsError(f"{arguments.output}: cannot be written: {error.strerror}; name another file") from error
    print(f"{arguments.output}: {run.status}, {len(run.steps)} steps, {len(text.encode())} bytes")
    return 0


COMMANDS: dict[str, Command] = {
    "plan": plan,
    "prices": prices,
    "report": report,
}
