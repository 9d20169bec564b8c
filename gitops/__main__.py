"""python -m gitops <command> (--help lists them, and each has its own)"""

import argparse
import gc
import os
import sys
import traceback
from collections.abc import Sequence

from gitops import commands, settings
from pipelines import expiry
from pipelines.errors import ExpiredError, ProjectError


def parser() -> argparse.ArgumentParser:
    """The commands and their arguments."""
    top = argparse.ArgumentParser(prog="python -m gitops", description="Git decides what is trained and served.")
    verbs = top.add_subparsers(dest="command", required=True, metavar="command")
    commands.add_parsers(verbs)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command: 0 done, 1 yours to put right, 3 ours, 75 run it again, 130 interrupted."""
    arguments = parser().parse_args(argv)
    try:
        return expiry.twice(lambda: commands.COMMANDS[arguments.command](arguments, settings.read(os.environ)))
    except ExpiredError as error:
        print(f"error: {error}", file=sys.stderr)
        return expiry.STATUS
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
