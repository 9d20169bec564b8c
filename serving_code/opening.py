"""From a folder to a model that is known to answer: files checked, loaded, warmed, and its golden requests asked."""

from pathlib import Path

from .archive import ArchiveError, load
from .recommender import Recommender
from .trust import Trust


def open_model(folder: Path, trust: Trust) -> Recommender:
    """The model in a folder. Raises ArchiveError that says why it cannot be served."""
    try:
        recommender = Recommender(load(folder, trust))
        failure = recommender.golden_failure()
    except ArchiveError:
        raise
    except Exception as error:  # a graph may load and still not run: a wrong model, no reason to die
        raise ArchiveError(f"the model does not run: {type(error).__name__}: {error}") from error
    if failure:
        raise ArchiveError(failure)
    return recommender
