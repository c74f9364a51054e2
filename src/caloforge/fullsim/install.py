"""Geant4's official datasets, downloaded: resumed where they were cut, checked, and in place only when whole."""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
import tarfile
import tempfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from gzip import BadGzipFile
from pathlib import Path, PurePosixPath

from caloforge.detector import DEFAULT_DETECTOR, Detector, load_detector
from caloforge.detector.materials import elements_of
from caloforge.errors import RequestError, WorkError
from caloforge.fullsim.datasets import DATA_DIR, Dataset, download_folder
from caloforge.fullsim.download import MB, download, megabytes, remote_size
from caloforge.fullsim.physics import widest_physics
from caloforge.fullsim.physics_data import needed_datasets

OFFICIAL = "https://cern.ch/geant4-data/datasets"


@dataclass(frozen=True)
class Archive:
    """The file that holds a dataset, and its MD5 sum."""

    file: str
    md5: str


# From the list that geant4-pybind 0.1.3 carries for its Geant4 11.4.1; a test compares the two. The sums are those of
# cmake/Modules/G4DatasetDefinitions.cmake in Geant4.
ARCHIVES: Mapping[str, Archive] = {
    "G4EMLOW8.8": Archive("G4EMLOW.8.8.tar.gz", "328330009df633f7e9b3a9f445745298"),
    "G4PARTICLEXS4.2": Archive("G4PARTICLEXS.4.2.tar.gz", "b63341cc97a472b04ff607b094493174"),
    "PhotonEvaporation6.1.2": Archive("G4PhotonEvaporation.6.1.2.tar.gz", "d80ba9bdefcf9e23487a26adfa273304"),
    "G4ENSDFSTATE3.0": Archive("G4ENSDFSTATE.3.0.tar.gz", "c500728534ce3e9fb2fefa0112eb3a74"),
}


@dataclass(frozen=True)
class Installed:
    """The folder, the datasets that this call put there, and those that were there before."""

    folder: Path
    new: tuple[str, ...]
    present: tuple[str, ...]


def install_physics_data(
    detector: str | Path | Detector = DEFAULT_DETECTOR,
    *,
    to: str | Path | None = None,
    address: str = OFFICIAL,
    archives: Mapping[str, Archive] = ARCHIVES,
    progress: bool = False,
) -> Installed:
    """Download the official datasets that the particles of a detector need, and only those.

    A detector says which, because its physics list decides, or its particles where it names none: every list reads
    three of the datasets, those with hadrons one more. Datasets that are complete already are left alone. An
    interrupted call leaves nothing half installed; the next one goes on with the download where it was. Two calls at
    once wait for each other.

    Args:
        detector: name of a shipped detector, path of a TOML file, or a detector.
        to: the folder for the datasets; by default where ``simulate`` finds them, which is ``GEANT4_DATA_DIR`` if it is
            set and else the folder that geant4-pybind downloads to.
        address: of the folder with the files, http or https; a mirror must have the same files.
        archives: file and MD5 sum of each dataset, by the name of its folder.
        progress: say on the error stream what is downloaded, with sizes, and draw bars.

    Raises:
        RequestError: no such detector, a variable of a dataset that would come before what is installed, a bad address,
            a folder that cannot be written, too little space.
        WorkError: the server fails or cannot be reached, a file is not what it should be, the disk is full.
    """
    described = load_detector(detector)
    needed = needed_datasets(widest_physics(described))
    elements = sorted(elements_of(described))
    if to is None:
        _check_variables(needed)
    folder = Path(to or os.environ.get(DATA_DIR) or download_folder()).expanduser().absolute()
    if not _lacking(folder, needed, elements):
        return Installed(folder, (), tuple(dataset.folder for dataset in needed))
    _check_address(address)
    _check_writable(folder)
    try:
        with _alone(folder, progress):
            lacking = _lacking(folder, needed, elements)
            files = [f"{address.rstrip('/')}/{archives[dataset.folder].file}" for dataset in lacking]
            sizes = [remote_size(file) for file in files]
            _check_space(folder, sizes)
            if progress and lacking:
                listed = ", ".join(f"{d.folder} ({size / MB:.3g} MB)" for d, size in zip(lacking, sizes, strict=True))
                print(f"to download into {folder}: {listed}", file=sys.stderr)
            for dataset, url, size in zip(lacking, files, sizes, strict=True):
                _install(folder, dataset, elements, url, size, archives[dataset.folder].md5, progress)
    except OSError as error:
        raise WorkError(
            f"cannot write to {folder}: {error.strerror or error}; make room there or choose another folder (--to), "
            f"the same command goes on with the download"
        ) from error
    new = tuple(dataset.folder for dataset in lacking)
    return Installed(folder, new, tuple(dataset.folder for dataset in needed if dataset.folder not in new))


def _lacking(folder: Path, needed: Sequence[Dataset], elements: Sequence[int]) -> list[Dataset]:
    return [d for d in needed if not (folder / d.folder).is_dir() or d.missing(folder / d.folder, elements)]


def _check_variables(needed: Sequence[Dataset]) -> None:
    for dataset in needed:
        if os.environ.get(dataset.variable):
            raise RequestError(
                f"{dataset.variable} is set to {os.environ[dataset.variable]}, which simulate reads before anything "
                f"that is installed; unset it first, or choose the folder (--to)"
            )


def _check_address(address: str) -> None:
    if not address.startswith(("http://", "https://")):
        raise RequestError(f"the address {address!r} must begin with http:// or https://, such as {OFFICIAL}")


def _check_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise RequestError(
            f"cannot write to {folder}: {error.strerror or error}; choose another folder (--to)"
        ) from error


def _check_space(folder: Path, sizes: Sequence[int]) -> None:
    # At the least: every dataset unpacked is larger than its archive, and one archive lies beside them.
    least, free = sum(sizes) + max(sizes, default=0), shutil.disk_usage(folder).free
    if free < least:
        raise RequestError(
            f"{folder} has {free / MB:,.0f} MB free, and more than {least / MB:,.0f} MB are needed; make room there "
            f"or choose another folder (--to)"
        )


@contextmanager
def _alone(folder: Path, progress: bool) -> Iterator[None]:
    """Hold the folder; a second process waits here."""
    with (folder / ".caloforge-install.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if progress:
                print(f"another process installs into {folder}; waiting for it", file=sys.stderr)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _install(
    folder: Path, dataset: Dataset, elements: Sequence[int], url: str, size: int, md5: str, progress: bool
) -> None:
    work = folder / f".{dataset.folder}.partial"
    work.mkdir(exist_ok=True)
    archive, tree = work / url.rsplit("/", 1)[1], work / "tree"
    download(url, archive, size, md5, progress=progress)
    try:
        _unpack(archive, tree, progress)
        whole = tree / dataset.folder
        missing = dataset.missing(whole, elements)
        if not whole.is_dir() or missing:
            raise WorkError(
                f"{url} does not hold {'/'.join([dataset.folder, *missing[:1]])}; tell the site that has it"
            )
        if (folder / dataset.folder).exists():  # incomplete, or it would have been left alone
            (folder / dataset.folder).rename(tree / "incomplete")
        whole.rename(folder / dataset.folder)
    finally:
        shutil.rmtree(tree, ignore_errors=True)
    shutil.rmtree(work)


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, tree: Path) -> None:
    """Write a file or a folder under ``tree``; what the official archives do not have, links and ways out, is refused.

    ``tarfile`` has filters for this in the later releases of Python 3.11 only.
    """
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or not (member.isfile() or member.isdir()):
        raise WorkError(
            f"{Path(str(tar.name)).name} is refused: it holds {member.name!r}, which is no file or folder inside it; "
            "choose another address (--from)"
        )
    target = tree / path
    if member.isdir():
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    source = tar.extractfile(member)
    assert source is not None
    with source, target.open("wb") as file:
        shutil.copyfileobj(source, file)


def _unpack(archive: Path, tree: Path, progress: bool) -> None:
    shutil.rmtree(tree, ignore_errors=True)  # of a call that was killed
    tree.mkdir()
    size = archive.stat().st_size
    try:
        with (
            megabytes(f"unpacking {archive.name}", size, 0, progress) as reached,
            archive.open("rb") as file,
            tarfile.open(fileobj=file, mode="r:gz") as tar,
        ):
            for member in tar:
                _extract(tar, member, tree)
                reached(file.tell())
    except (tarfile.TarError, BadGzipFile, EOFError, zlib.error) as error:
        raise WorkError(f"{archive.name} is no archive that can be read: {error}") from error
