from pathlib import Path

import pytest
import yaml

from pipelines import champion
from pipelines.errors import ProjectError

ARCHIVE = "s3://bucket/steps/Train/abc/model/pipelines-x-Train-y/output/model.tar.gz"


def deployed(root: Path, release: object) -> Path:
    folder = root / "deploy" / "production"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ncf.yml").write_text(yaml.safe_dump({"model": "ncf", "release": release}))
    return root


def test_there_is_none_before_the_first_promotion(tmp_path: Path):
    assert champion.read(tmp_path, "production", "ncf") is None
    assert champion.read(deployed(tmp_path, None), "production", "ncf") is None


def test_it_is_the_folder_of_the_archive_that_production_serves(tmp_path: Path):
    found = champion.read(deployed(tmp_path, {"id": "ncf-9c41d2e7a0b1", "archive_uri": ARCHIVE}), "production", "ncf")
    assert found is not None
    assert (found.name, found.folder) == ("ncf-9c41d2e7a0b1", ARCHIVE.removesuffix("model.tar.gz"))


@pytest.mark.parametrize(
    "release",
    ["x", {}, {"id": "ncf-1", "archive_uri": "http://x/model.tar.gz"}, {"id": "../x", "archive_uri": ARCHIVE}],
)
def test_a_release_that_names_no_archive_is_refused(tmp_path: Path, release: object):
    with pytest.raises(ProjectError, match="release"):
        champion.read(deployed(tmp_path, release), "production", "ncf")
