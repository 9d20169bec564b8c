"""python -m gitops notify | data | propose | reconcile | plan | status | rollback ... (each has --help)"""

import argparse
import gc
import os
import sys
import traceback
from collections.abc import Sequence

from gitops import commands, oncall, settings
from gitops.errors import ExpiredError
from pipelines.errors import ProjectError

EXPIRED = 75  # EX_TEMPFAIL of sysexits.h: run it again
REASONS = ("new-partition", "schedule", "drift", "backfill", "manual")


def parser() -> argparse.ArgumentParser:
    """The commands and their arguments."""
    top = argparse.ArgumentParser(prog="python -m gitops", description="Git decides what is trained and served.")
    verbs = top.add_subparsers(dest="command", required=True, metavar="command")
    notify = verbs.add_parser("notify", help="make a push known: source to S3, event to the bus")
    notify.add_argument("--branch", required=True)
    notify.add_argument("--before", required=True, help="the branch's sha before the push; zeros if it was new")
    notify.add_argument("--sha", required=True, help="the pushed commit; zeros if the branch was deleted")
    data = verbs.add_parser("data", help="add partitions to a data lock")
    data.add_argument("params", help="for example params/ncf.yml")
    data.add_argument("--add", nargs="+", action="extend", default=[], metavar="KEY", help="S3 keys of the bucket")
    data.add_argument("--from-manifest", metavar="KEY_OR_FILE", help="a SageMaker manifest that lists keys")
    data.add_argument("--reason", choices=REASONS, default="new-partition")
    data.add_argument("--dataset", default="", help="the data set's name, for a lock that is not there yet")
    propose = verbs.add_parser("propose", help="propose what a finished pipeline execution registered")
    propose.add_argument("--execution", required=True, metavar="ARN")
    reconcile = verbs.add_parser("reconcile", help="make an environment what git says")
    reconcile.add_argument("environment")
    reconcile.add_argument("--wait-minutes", type=float, default=30.0, help="for each endpoint (default 30)")
    reconcile.add_argument("--lease-seconds", type=float, default=60.0, help="a dead build is waited for (default 60)")
    plan = verbs.add_parser("plan", help="what a change would do; offline, without credentials")
    plan.add_argument("--base", required=True, metavar="REF")
    plan.add_argument("--head", default="HEAD", metavar="REF")
    relock = verbs.add_parser("relock", help="propose a data lock with the partitions that came")
    relock.add_argument("params", nargs="?", help="for example params/ncf.yml (default: all)")
    relock.add_argument("--from-manifest", metavar="KEY_OR_FILE", help="a SageMaker manifest (default: what is new)")
    relock.add_argument("--reason", choices=REASONS, default="new-partition")
    drift = verbs.add_parser("drift", help="compare captured requests with the training data")
    drift.add_argument("params", help="for example params/ncf.yml")
    drift.add_argument("--environment", default="production")
    drift.add_argument("--hours", type=int, default=24, help="how far back (default 24)")
    drift.add_argument("--json", action="store_true", help="as JSON")
    drift.add_argument("--propose", action="store_true", help="if they have drifted, propose a data lock")
    oncall.add_parsers(verbs)
    return top


def run(arguments: argparse.Namespace) -> int:
    """The command, and once more with new credentials if those it had ended meanwhile: each may be run again."""
    command = commands.COMMANDS[arguments.command]
    try:
        return command(arguments, settings.read(os.environ))
    except ExpiredError as error:
        from gitops import aws

        print(f"{error}; beginning again, once", file=sys.stderr)
        aws.renew()
        return command(arguments, settings.read(os.environ))


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command: 0 done, 1 yours to put right, 3 ours, 75 the credentials ended twice, 130 interrupted."""
    arguments = parser().parse_args(argv)
    try:
        return run(arguments)
    except ExpiredError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXPIRED
    except ProjectError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except Exception:  # noqa: BLE001 - a mistake of this program, and the caller should know whose it is
        traceback.print_exc()
        return 3


if __name__ == "__main__":
    gc.disable()  # a short life: collecting among boto3's many small objects takes longer than what it frees is worth
    try:
        sys.exit(main())
    finally:
        gc.freeze()
