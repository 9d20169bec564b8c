"""The one error of the processing programs, and how they end when it is raised."""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path


class ProcessingError(Exception):
    """What is wrong and what would be right, in one line that a user can act on."""


def exit_code(program: Callable[[Sequence[str] | None], None], argv: Sequence[str] | None = None) -> int:
    """Run a program: 0, or 1 with one line on stderr and in SageMaker's exit message for a user's error."""
    try:
        program(argv)
    except ProcessingError as error:
        print(f"error: {error}", file=sys.stderr)
        leave_message(str(error))
        return 1
    except OSError as error:  # a full disk, a folder that may not be written: the machine's, told as briefly
        sentence = f"{error}; outputs without a manifest are not whole, give the job more volume or other folders"
        print(f"error: {' '.join(sentence.split())}", file=sys.stderr)
        leave_message(sentence)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def leave_message(message: str) -> None:
    """Write SageMaker's exit message; outside a processing container there is no such folder, and nothing happens."""
    folder = Path(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml")) / "output"
    if folder.is_dir() and os.access(folder, os.W_OK):
        (folder / "message").write_text(message[:1024], encoding="utf-8")
