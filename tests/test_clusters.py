"""What --cluster names: read as a whole, refused with the fix, and turned into the jobs that dask-jobqueue submits."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from caloforge import clusters
from caloforge.clusters import BatchJobs, Scheduler, read_cluster
from caloforge.errors import FormatError, MissingExtraError, RequestError

pytest.importorskip("dask_jobqueue", reason="needs pip install 'caloforge[cluster]'")

SLURM = """
system: slurm
jobs: 20
cores: 4
processes: 4
memory: 8 GB
queue: short
account: calo
walltime: "02:00:00"
job_extra_directives: ["--exclude=node7"]
job_script_prologue: ["source /opt/calo/bin/activate"]
"""
HTCONDOR = """
system: htcondor
jobs: 3
cores: 2
memory: 4 GB
disk: 1 GB
job_extra_directives: {+JobFlavour: '"longlunch"'}
"""


def described(folder: Path, text: str) -> BatchJobs:
    (folder / "jobs.yaml").write_text(text, encoding="utf-8")
    found = read_cluster(folder / "jobs.yaml")
    assert isinstance(found, BatchJobs)
    return found


def test_a_slurm_job_is_what_the_file_says(tmp_path: Path) -> None:
    cluster = described(tmp_path, SLURM)
    assert (cluster.system, cluster.jobs) == ("slurm", 20)
    script = cluster.job().job_script()
    for line in ("-p short", "-A calo", "-t 02:00:00", "--cpus-per-task=4", "--mem=8G", "--exclude=node7"):
        assert f"#SBATCH {line}\n" in script
    assert "\nsource /opt/calo/bin/activate\n" in script
    assert f"{sys.executable} -m distributed.cli.dask_worker tcp://scheduler:8786 --name caloforge" in script
    assert "--nthreads 1 --memory-limit 1.86GiB --nworkers 4" in script


def test_an_htcondor_job_is_what_the_file_says(tmp_path: Path) -> None:
    cluster = described(tmp_path, HTCONDOR)
    script = cluster.job().job_script()
    assert cluster.jobs == 3
    assert "MY.DaskWorkerCores = 2\n" in script
    assert "MY.DaskWorkerMemory = 4000000000\n" in script
    assert 'JobFlavour = "longlunch"\n' in script
    assert "distributed.cli.dask_worker tcp://scheduler:8786" in script


def test_the_examples_of_the_documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # they name a folder for logs
    text = (Path(__file__).parents[1] / "docs" / "full-simulation.md").read_text(encoding="utf-8")
    examples = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert [described(tmp_path, example).system for example in examples] == ["htcondor", "slurm"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("system: slrum\njobs: 2", "unknown batch system 'slrum'; did you mean 'slurm'? Valid names: htcondor, lsf"),
        ("jobs: 2", "unknown batch system 'None'"),
        ("system: os.system\njobs: 2", "unknown batch system 'os.system'"),
        ("system: slurm\njobs: 0", "jobs must be a number of jobs, at least 1; got 0"),
        ("system: slurm\ncores: 1", "jobs must be a number of jobs, at least 1; got None"),
        ("system: slurm\njobs: 2\ncore: 1", "unknown key 'core'; did you mean 'cores'?"),
        ("system: slurm\njobs: 2\nwall_time: 1", "unknown key 'wall_time'; did you mean 'walltime'?"),
        ("system: slurm\njobs: 2\ndisk: 1 GB", "unknown key 'disk'; known: account, cores, "),
        ("system: slurm\njobs: 2\n1: 2", "unknown key 1; known: "),
        ("system: slurm\njobs: 2\nsecurity: true", "unknown key 'security'"),
        ("system: slurm\njobs: 2", "slurm does not take this: You must specify how much cores and memory per job"),
        ("system: htcondor\njobs: 2\ncores: 1\nmemory: 1 GB", "You must specify how much disk"),
        ("system: slurm\njobs: 2\ncores: 1\nmemory: a lot", "slurm does not take this: Could not interpret"),
    ],
)
def test_a_wrong_description_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "jobs.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RequestError) as caught:
        read_cluster(path)
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize("text", ["- slurm", "", "system: [", "a: !!python/object/apply:os.system ['true']"])
def test_a_file_that_is_no_description_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "jobs.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FormatError, match="jobs.yaml"):
        read_cluster(path)


def test_a_file_that_is_not_there_is_refused() -> None:
    with pytest.raises(FormatError, match=r"host:8786.*or the address of a scheduler, such as tcp://host:8786"):
        read_cluster("host:8786")


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for module in ("distributed", "dask_jobqueue"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=r"pip install 'caloforge\[cluster\]'"):
        read_cluster("tcp://localhost:8786")
    with pytest.raises(MissingExtraError, match=r"pip install 'caloforge\[cluster\]'"):
        described(tmp_path, SLURM)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "carrier-pigeon://127.0.0.1:1", "tcp://[", "tcp://"])
def test_a_scheduler_that_does_not_answer(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "PATIENCE", 0.5)
    cluster = read_cluster(address)
    assert cluster == Scheduler(address)
    with pytest.raises(RequestError) as caught, cluster.connect():
        pass
    assert f"no Dask scheduler answers at {address} within 0.5 s" in str(caught.value)


def test_no_batch_system_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = described(tmp_path, SLURM)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RequestError, match="asks for slurm, but there is no command sbatch here"), cluster.connect():
        pass
