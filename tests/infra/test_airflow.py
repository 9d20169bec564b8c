"""The DAG, parsed by the Airflow of requirements.airflow.lock; no database, no scheduler."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.environments import ROOT, python_with

pytestmark = pytest.mark.heavy
PARSE = """
import json, runpy, sys
dag = runpy.run_path(sys.argv[1])["dag"]
task = dag.get_task("prepare")
given = {**dag.params.dump(), "columns": {"user": "a b'; $(id)", "item": "i", "time": "t"}}
steps = task.render_template(task.steps, {"params": given, "run_id": "scheduled__2026-11-02T00:00:00+00:00"})
print(json.dumps({"dag": dag.dag_id, "tasks": dag.task_ids, "catchup": dag.catchup, "steps": steps,
                  "templated": "steps" in task.template_fields, "waits": task.wait_for_completion}))
"""


@pytest.fixture(scope="module")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> dict:
    environment = {"PATH": os.environ["PATH"], "AIRFLOW_HOME": str(tmp_path_factory.mktemp("airflow"))}
    command = [python_with("airflow"), "-c", PARSE, str(ROOT / "infra" / "airflow" / "prepare_dag.py")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def test_airflow_parses_the_dag_and_its_one_task_waits_for_the_step(parsed: dict):
    assert (parsed["dag"], parsed["tasks"], parsed["catchup"]) == ("prepare_interactions", ["prepare"], False)
    assert parsed["templated"]
    assert parsed["waits"]


def test_the_step_is_a_list_of_arguments_that_no_shell_reads(parsed: dict):
    step = parsed["steps"][0]["HadoopJarStep"]
    assert step["Jar"] == "command-runner.jar"
    columns = step["Args"][step["Args"].index("--columns") + 1]
    assert json.loads(columns) == {"user": "a b'; $(id)", "item": "i", "time": "t"}
    assert not [word for word in step["Args"] if "{{" in word]


def test_every_option_of_the_step_is_one_of_the_job(parsed: dict):
    words = parsed["steps"][0]["HadoopJarStep"]["Args"]
    own = words[words.index("s3://bucket/code/spark_job.py") + 1 :: 2]
    program = (ROOT / "processing_code" / "prepare.py").read_text() + '"--lock" "--data" "--output"'
    assert own
    assert not [word for word in own if f'"{word}"' not in program]
    assert Path(ROOT / "processing_code" / "spark_job.py").is_file()
