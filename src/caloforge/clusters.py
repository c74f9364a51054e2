"""What ``--cluster`` names: a Dask scheduler that runs, or a YAML file of the batch jobs to start one with."""

from __future__ import annotations

import inspect
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import yaml

from caloforge.errors import FormatError, RequestError, nearest_name, require, unknown_name

if TYPE_CHECKING:
    from distributed import Client

PATIENCE = 10.0
"""Seconds that a scheduler has to answer."""
SYSTEMS = {
    "htcondor": "HTCondorCluster",
    "lsf": "LSFCluster",
    "moab": "MoabCluster",
    "oar": "OARCluster",
    "pbs": "PBSCluster",
    "sge": "SGECluster",
    "slurm": "SLURMCluster",
}
"""Batch systems and their classes in dask-jobqueue."""
_OURS = {"self", "scheduler", "name", "config_name", "security"}
_DEPRECATED = {"extra", "job_extra", "env_extra", "header_skip"}


class Cluster(ABC):
    """Where tasks may go; made by :func:`read_cluster`, which has checked what can be checked from here."""

    @abstractmethod
    def connect(self) -> AbstractContextManager[Client]:
        """Return a context that holds a client of the cluster, and gives back what it took when it ends.

        Raises:
            RequestError: on entry, when the scheduler does not answer or the batch system cannot be asked.
        """


@final
@dataclass(frozen=True)
class Scheduler(Cluster):
    """A scheduler that runs already, and goes on running."""

    address: str

    @contextmanager
    def connect(self) -> Iterator[Client]:
        with ExitStack() as stack:
            try:
                client = stack.enter_context(_client(self.address))
            except (OSError, ValueError, RuntimeError, AssertionError) as error:  # the last: Dask's loop did not start
                raise RequestError(
                    f"no Dask scheduler answers at {self.address} within {PATIENCE:g} s ({error}); start one there "
                    f"with: dask scheduler"
                ) from error
            yield client


@final
@dataclass(frozen=True)
class BatchJobs(Cluster):
    """``jobs`` jobs of a batch system, each with Dask workers; one that ends is replaced, all end with the context."""

    path: Path
    system: str
    jobs: int
    keywords: Mapping[str, Any]

    def job(self) -> Any:
        """Return a job as dask-jobqueue makes it; its ``job_script()`` is what will be submitted.

        Raises:
            RequestError: dask-jobqueue refuses the keywords.
        """
        keywords = {key: value for key, value in self.keywords.items() if key != "scheduler_options"}
        try:
            return _class_of(self.system).job_cls("tcp://scheduler:8786", name="caloforge", **keywords)
        except Exception as error:  # of any kind: the values go in as they are
            raise RequestError(f"{self.path}: {self.system} does not take this: {error}") from error

    @contextmanager
    def connect(self) -> Iterator[Client]:
        command = self.job().submit_command.split()[0]
        if shutil.which(command) is None:
            raise RequestError(
                f"{self.path} asks for {self.system}, but there is no command {command} here; run this where jobs can "
                f"be submitted"
            )
        try:
            # Not at the port that somebody else's dashboard has on a shared machine.
            options = {"dashboard_address": ":0", **self.keywords.get("scheduler_options", {})}
            cluster = _class_of(self.system)(**{**self.keywords, "scheduler_options": options})
        except Exception as error:
            raise RequestError(f"{self.path}: cannot start a Dask scheduler: {error}") from error
        with closing(cluster):
            # Adapting, and not scale(), so that jobs are replaced that reach their time limit.
            cluster.adapt(minimum_jobs=self.jobs, maximum_jobs=self.jobs)
            with _client(cluster) as client:
                yield client


@contextmanager
def _client(target: Any) -> Iterator[Client]:
    distributed = require("distributed", "cluster")
    with (
        distributed.utils.silence_logging_cmgr("CRITICAL"),  # what matters is raised
        distributed.Client(target, timeout=PATIENCE) as client,
    ):
        yield client


def read_cluster(cluster: str | Path) -> Cluster:
    """Read what ``--cluster`` names: ``tcp://host:port`` of a scheduler, or the path of a YAML file.

    The file has the keys ``system`` (one of :data:`SYSTEMS`), ``jobs`` (how many) and those of the system's class in
    dask-jobqueue, such as ``cores``, ``memory``, ``queue``, ``walltime`` and ``job_extra_directives``.

    Raises:
        RequestError: an unknown key or system, a bad value; ``FormatError`` for a file that is none,
            ``MissingExtraError`` without the extra ``cluster``.
    """
    if "://" in str(cluster):
        require("distributed", "cluster")
        return Scheduler(str(cluster))
    path = Path(cluster)
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise FormatError(
            f"cannot read the description of a cluster {path}: {error}; give a YAML file, or the address of a "
            f"scheduler, such as tcp://host:8786"
        ) from error
    if not isinstance(values, dict):
        raise FormatError(f"{path} must hold keys and values, such as 'system: slurm' and 'jobs: 10'")
    system, jobs = values.pop("system", None), values.pop("jobs", None)
    if not isinstance(system, str) or system not in SYSTEMS:
        raise RequestError(f"{path}: {unknown_name('batch system', str(system), SYSTEMS)}")
    if not isinstance(jobs, int) or isinstance(jobs, bool) or jobs < 1:
        raise RequestError(f"{path}: jobs must be a number of jobs, at least 1; got {jobs!r}")
    known = _keys(system)
    for key in values:
        if key not in known:
            nearest = nearest_name(str(key), known)
            hint = f"; did you mean {nearest!r}?" if nearest else f"; known: {', '.join(sorted(known))}"
            raise RequestError(f"{path}: unknown key {key!r}{hint}")
    described = BatchJobs(path, system, jobs, values)
    described.job()
    return described


def _class_of(system: str) -> Any:
    return vars(require("dask_jobqueue", "cluster"))[SYSTEMS[system]]


def _keys(system: str) -> set[str]:
    """The keywords of a system's jobs, without those that are set here or deprecated."""
    taken: set[str] = set()
    for part in _class_of(system).job_cls.__mro__:
        parameters = inspect.signature(part.__init__).parameters.values()
        taken |= {each.name for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD}
    return (taken - _OURS - _DEPRECATED) | {"system", "jobs", "scheduler_options"}
