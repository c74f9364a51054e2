"""Datasets from a server of the test's own: whole or not at all, whatever the server, the disk or the user does."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import os
import random
import re
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import caloforge
from caloforge.cli import main
from caloforge.detector import detector_from_toml, load_detector
from caloforge.errors import RequestError, WorkError
from caloforge.fullsim import datasets
from caloforge.fullsim.install import ARCHIVES, OFFICIAL, Archive, Installed, install_physics_data
from caloforge.fullsim.physics_data import needed_datasets, physics_data, prepare_physics_data

HADRONS = "G4EmStandardPhysics_option1+FTFP_BERT"
ELEMENTS = (1, 6, 82)  # of lhcb-ecal
# lhcb-ecal, but for electrons and photons only, which three of the four datasets serve.
ELECTRONS = detector_from_toml(
    load_detector("lhcb-ecal").toml + 'physics_list = "G4EmStandardPhysics_option1"\n'  # in its last table
)
EMLOW, LEVELS, STATES = "G4EMLOW8.8", "PhotonEvaporation6.1.2", "G4ENSDFSTATE3.0"

pytestmark = pytest.mark.usefixtures("bare")


def tar(files: Mapping[str, bytes | None]) -> bytes:
    """A tar.gz file; None makes a link out of it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.mode = 0o444
            if content is None:
                member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
            else:
                member.size = len(content)
            archive.addfile(member, None if content is None else io.BytesIO(content))
    return packed.getvalue()


def official() -> dict[str, bytes]:
    """Small archives laid out as the official ones; that of G4EMLOW has 200 kB that cannot be compressed."""
    packed = {}
    for dataset in needed_datasets(HADRONS):
        files = {f"{dataset.folder}/{name}": b"1\n" for name in dataset.files(ELEMENTS)}
        padding = random.Random(1).randbytes(200_000) if dataset is datasets.ELECTROMAGNETIC else b"x"
        packed[ARCHIVES[dataset.folder].file] = tar({**files, f"{dataset.folder}/History": padding})
    return packed


@dataclass
class Site:
    """A server, what it has and how it behaves; ``log`` has method, file and range of each request."""

    address: str
    files: dict[str, bytes] = field(default_factory=official)
    ranges: bool = True
    cuts: list[int] = field(default_factory=list)  # bytes after which an answer of G4EMLOW ends, one a request
    status: int | None = None
    length: str | None = "true"
    hold: threading.Event | None = None  # waited for in the middle of G4EMLOW
    held: threading.Event = field(default_factory=threading.Event)
    log: list[tuple[str, str, str | None]] = field(default_factory=list)

    @property
    def archives(self) -> dict[str, Archive]:
        """The table of the files as they are now."""
        sums = {name: hashlib.md5(content).hexdigest() for name, content in self.files.items()}
        return {folder: Archive(known.file, sums[known.file]) for folder, known in ARCHIVES.items()}

    def gets(self, name: str) -> list[str | None]:
        """The ranges that were asked for of an archive."""
        return [asked for method, file, asked in self.log if method == "GET" and file.startswith(name)]

    def install(self, detector: str | caloforge.Detector = ELECTRONS, to: Path | None = None) -> Installed:
        return install_physics_data(detector, to=to, address=self.address, archives=self.archives)

    def process(self, to: Path, before: str = "") -> subprocess.Popen[str]:
        """The same in a process of its own, after some other code."""
        table = {folder: asdict(archive) for folder, archive in self.archives.items()}
        code = (
            f"{before}\nfrom caloforge.fullsim.install import *\nfrom caloforge.detector import detector_from_toml\n"
            f"electrons = detector_from_toml({ELECTRONS.toml!r})\n"
            f"table = {{folder: Archive(**each) for folder, each in {table!r}.items()}}\n"
            f"install_physics_data(electrons, to={str(to)!r}, address={self.address!r}, archives=table)\n"
        )
        environment = os.environ | {"PYTHONPATH": str(Path(caloforge.__file__).parents[1])}
        return subprocess.Popen([sys.executable, "-c", code], env=environment, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def site() -> Iterator[Site]:
    """A server that has small archives under the official names."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self.answer()

        def do_GET(self) -> None:
            self.answer()

        def answer(self) -> None:
            name, asked = self.path.rsplit("/", 1)[1], self.headers.get("Range")
            here.log.append((self.command, name, asked))
            content = here.files.get(name)
            if self.path.startswith("/moved/"):
                self.send_response(302)
                self.send_header("Location", f"{here.address}/{name}")
                self.end_headers()
                return
            if content is None or here.status is not None:
                self.send_error(here.status or 404)
                return
            start = int(re.findall(r"\d+", asked)[0]) if asked and here.ranges else 0
            self.send_response(206 if start else 200)
            if here.length is not None:
                self.send_header("Content-Length", str(len(content) - start) if here.length == "true" else here.length)
            self.end_headers()
            if self.command == "HEAD":
                return
            rest = content[start:]
            if name.startswith("G4EMLOW"):
                if here.cuts:
                    rest = rest[: here.cuts.pop(0)]
                if here.hold is not None:
                    self.wfile.write(rest[:70_000])
                    here.held.set()
                    here.hold.wait()
                    rest = rest[70_000:]
            with suppress(BrokenPipeError, ConnectionResetError):  # the client was stopped
                self.wfile.write(rest)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    here = Site(f"http://127.0.0.1:{server.server_port}/datasets")
    threading.Thread(target=server.serve_forever, args=(0.01,)).start()
    yield here
    if here.hold is not None:
        here.hold.set()
    server.shutdown()
    server.server_close()


def left_in(folder: Path) -> set[str]:
    """Names in a folder besides the lock."""
    return {path.name for path in folder.iterdir()} - {".caloforge-install.lock"}


def emlow_is_whole(folder: Path) -> bool:
    padding = (folder / EMLOW / "History").read_bytes()
    return padding == random.Random(1).randbytes(200_000) and not datasets.ELECTROMAGNETIC.missing(
        folder / EMLOW, ELEMENTS
    )


def test_simulate_finds_what_was_installed_and_only_what_it_needs(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    assert {source.origin.split(":")[0] for source in physics_data(ELECTRONS)} == {"built-in tables"}
    done = site.install()
    folder = Path.home() / ".geant4_pybind"
    assert done == Installed(folder, (EMLOW, LEVELS, STATES), ())
    assert left_in(folder) == {EMLOW, LEVELS, STATES}
    assert emlow_is_whole(folder)
    assert [(source.folder, source.origin) for source in physics_data(ELECTRONS)] == [
        (folder / name, "downloaded") for name in (EMLOW, LEVELS, STATES)
    ]
    assert not prepare_physics_data("G4EmStandardPhysics_option1", ELEMENTS).approximate
    assert capsys.readouterr() == ("", "")


def test_hadrons_need_one_more(site: Site) -> None:
    site.install()
    assert site.install("lhcb-ecal").new == ("G4PARTICLEXS4.2",)  # which takes pions and names no physics list
    assert len(site.gets("G4EMLOW")) == 1


def test_what_is_there_is_left_alone_and_what_is_incomplete_replaced(site: Site, tmp_path: Path) -> None:
    site.install(to=tmp_path)
    (tmp_path / EMLOW / "brem_SB" / "br82").unlink()
    (tmp_path / EMLOW / "mine").write_text("")
    before = (tmp_path / STATES).stat().st_mtime_ns
    assert site.install(to=tmp_path) == Installed(tmp_path, (EMLOW,), (LEVELS, STATES))
    assert emlow_is_whole(tmp_path)
    assert not (tmp_path / EMLOW / "mine").exists()
    assert (tmp_path / STATES).stat().st_mtime_ns == before
    requests = len(site.log)
    assert site.install(to=tmp_path).new == ()
    assert len(site.log) == requests
    assert left_in(tmp_path) == {EMLOW, LEVELS, STATES}


@pytest.mark.parametrize("ranges", [True, False])
def test_a_cut_download_goes_on(site: Site, tmp_path: Path, ranges: bool) -> None:
    site.ranges, site.cuts = ranges, [50_000, 60_000]
    site.install(to=tmp_path)
    assert emlow_is_whole(tmp_path)
    assert site.gets("G4EMLOW") == [None, "bytes=50000-", "bytes=110000-" if ranges else "bytes=60000-"]


def test_the_official_address_leads_elsewhere(site: Site, tmp_path: Path) -> None:
    site.cuts = [0, 50_000]  # the question for the size becomes one for the file, too, before Python 3.13
    moved = site.address.replace("/datasets", "/moved/")
    install_physics_data(to=tmp_path, address=moved, archives=site.archives)
    assert emlow_is_whole(tmp_path)


def test_a_line_that_is_always_cut_is_an_error_and_what_came_is_kept(site: Site, tmp_path: Path) -> None:
    site.cuts = [10_000] * 5
    with pytest.raises(WorkError, match=r"G4EMLOW.* was cut 5 times, the last time at 50,000 of 2.*,.* bytes"):
        site.install(to=tmp_path)
    assert left_in(tmp_path) == {f".{EMLOW}.partial"}
    site.install(to=tmp_path)
    assert emlow_is_whole(tmp_path)
    assert site.gets("G4EMLOW")[-1] == "bytes=50000-"
    assert left_in(tmp_path) == {EMLOW, LEVELS, STATES}


@pytest.mark.parametrize("size", [1000, 10**6])
def test_a_damaged_beginning_is_not_gone_on_with(site: Site, tmp_path: Path, size: int) -> None:
    partial = tmp_path / f".{EMLOW}.partial" / "G4EMLOW.8.8.tar.gz"
    partial.parent.mkdir()
    partial.write_bytes(bytes(size))
    site.install(to=tmp_path)
    assert emlow_is_whole(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interruption_leaves_nothing_half_installed(site: Site, tmp_path: Path, number: signal.Signals) -> None:
    site.hold = threading.Event()
    process = site.process(tmp_path)
    assert site.held.wait(60)
    partial = tmp_path / f".{EMLOW}.partial" / "G4EMLOW.8.8.tar.gz"
    while not partial.exists():
        time.sleep(0.01)
    process.send_signal(number)
    process.communicate()
    assert process.returncode != 0
    assert left_in(tmp_path) == {f".{EMLOW}.partial"}
    site.hold.set()
    site.hold = None
    site.install(to=tmp_path)
    assert emlow_is_whole(tmp_path)
    assert left_in(tmp_path) == {EMLOW, LEVELS, STATES}


def test_two_processes_at_once_download_once(site: Site, tmp_path: Path) -> None:
    site.hold = threading.Event()
    first = site.process(tmp_path)
    assert site.held.wait(60)
    second = site.process(tmp_path)
    threading.Timer(1.5, site.hold.set).start()
    for process in (first, second):
        _, messages = process.communicate()
        assert process.returncode == 0, messages
    assert emlow_is_whole(tmp_path)
    assert [len(site.gets(name)) for name in ("G4EMLOW", "G4Photon", "G4ENSDF")] == [1, 1, 1]


def test_a_full_disk_is_an_error_and_the_next_call_goes_on(site: Site, tmp_path: Path) -> None:
    """A limit on the size of files stands for the disk: writing fails in the same way."""
    limit = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))"
    _, messages = site.process(tmp_path, before=limit).communicate()
    assert "WorkError: cannot write to" in messages
    assert "goes on with the download" in messages
    assert left_in(tmp_path) == {f".{EMLOW}.partial"}
    site.install(to=tmp_path)
    assert emlow_is_whole(tmp_path)
    assert site.gets("G4EMLOW")[-1] is not None


def test_too_little_space_is_known_before_the_download(site: Site, tmp_path: Path) -> None:
    site.length = str(10**18)
    with pytest.raises(RequestError, match=r"MB free, and more than 4,000,000,000,000 MB are needed"):
        site.install(to=tmp_path)
    assert {method for method, _, _ in site.log} == {"HEAD"}
    assert left_in(tmp_path) == set()


def test_another_file_is_not_unpacked(site: Site, tmp_path: Path) -> None:
    table = site.archives
    site.files["G4EMLOW.8.8.tar.gz"] = tar({f"{EMLOW}/other": b""})
    with pytest.raises(
        WorkError, match=r"G4EMLOW.8.8.tar.gz is not the official file: its MD5 sum is not [0-9a-f]{32}"
    ):
        install_physics_data(to=tmp_path, address=site.address, archives=table)
    assert left_in(tmp_path) == {f".{EMLOW}.partial"}
    assert list((tmp_path / f".{EMLOW}.partial").iterdir()) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (tar({f"{EMLOW}/ok": b"", f"{EMLOW}/../../../../evil": b""}), "is refused: .*no file or folder inside it"),
        (tar({f"{EMLOW}/brem_SB/br1": b"1"}), "does not hold G4EMLOW8.8/brem_SB/br6;"),
        (tar({"/etc/evil": b""}), "is refused: it holds '/etc/evil'"),
        (tar({f"{EMLOW}/evil": None}), "is refused: .*evil"),
        (b"no archive", "is no archive that can be read"),
        (tar({f"{EMLOW}/a": random.Random(2).randbytes(9999)})[:5000], "is no archive that can be read"),
    ],
)
def test_an_archive_that_is_not_right(site: Site, tmp_path: Path, content: bytes, message: str) -> None:
    site.files["G4EMLOW.8.8.tar.gz"] = content
    folder = tmp_path / "a" / "data"
    with pytest.raises(WorkError, match=message):
        site.install(to=folder)
    assert left_in(folder) == {f".{EMLOW}.partial"}
    assert [path.name for path in tmp_path.rglob("*") if path.name in ("evil", "tree")] == []


@pytest.mark.parametrize(
    ("status", "error", "message"),
    [
        (404, RequestError, "G4EMLOW.8.8.tar.gz: the server answers 404 Not Found; check the address"),
        (403, RequestError, "403 Forbidden"),
        (503, WorkError, "503 Service Unavailable; try again later"),
    ],
)
def test_a_server_that_refuses(site: Site, tmp_path: Path, status: int, error: type[Exception], message: str) -> None:
    site.status = status
    with pytest.raises(error, match=message):
        site.install(to=tmp_path)


def test_a_server_that_tells_no_size(site: Site, tmp_path: Path) -> None:
    site.length = None
    with pytest.raises(WorkError, match="does not tell the size of .*G4EMLOW"):
        site.install(to=tmp_path)


@pytest.mark.parametrize(
    ("address", "error", "message"),
    [
        ("http://127.0.0.1:1/datasets", WorkError, "cannot reach http://127.0.0.1:1/datasets/G4EMLOW.*refused"),
        ("http://no-such-host.invalid", WorkError, "cannot reach .*check the network and the address"),
        ("http://[", RequestError, "cannot ask for .*check the address"),
        ("http://127.0.0.1:port", RequestError, "cannot ask for .*check the address"),
        ("ftp://127.0.0.1", RequestError, "must begin with http:// or https://"),
        ("/folder", RequestError, "must begin with http:// or https://"),
    ],
)
def test_a_bad_address(tmp_path: Path, address: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        install_physics_data(to=tmp_path, address=address)


@pytest.mark.parametrize("kind", ["a file", "read-only"])
def test_a_folder_that_cannot_be_written(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "target"
    if kind == "a file":
        target.write_text("")
    else:
        target.mkdir(mode=0o555)
        if os.access(target, os.W_OK):
            pytest.skip("this user may write everywhere")
    with pytest.raises(RequestError, match=r"cannot write to .*target: .*; choose another folder \(--to\)"):
        install_physics_data(to=target, address="http://127.0.0.1:1")


def test_where_it_goes(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where simulate will find it; a variable that would hide it is named before any work."""
    monkeypatch.setenv(datasets.DATA_DIR, str(tmp_path / "data"))
    assert site.install().folder == tmp_path / "data"
    assert {source.origin for source in physics_data(ELECTRONS)} == {datasets.DATA_DIR}
    monkeypatch.setenv("G4LEDATA", str(tmp_path / "old"))
    with pytest.raises(RequestError, match="G4LEDATA is set to .*old, which simulate reads before .*unset it first"):
        site.install()
    assert site.install(to=tmp_path / "other").folder == tmp_path / "other"


def test_an_unknown_detector() -> None:
    with pytest.raises(RequestError, match="unknown detector 'lhcb-ecla'; did you mean"):
        install_physics_data("lhcb-ecla")


def test_the_table_is_that_of_the_installed_bindings(geant4: None) -> None:
    spec = importlib.util.find_spec("geant4_pybind")
    assert spec is not None
    assert spec.origin is not None
    code = Path(spec.origin).read_bytes().decode("latin-1")
    assert f'DATASET_URL = "{OFFICIAL}"' in code
    entry = r'"name": "(.+?)",\s+"version": "(.+?)",\s+"filename": "(.+?)",\s+"envvar": "(.+?)",\s+"md5sum": "(.+?)"'
    theirs = {
        name + version: (Archive(f"{file}.{version}.tar.gz", md5), variable)
        for name, version, file, variable, md5 in re.findall(entry, code)
    }
    ours = {d.folder: (ARCHIVES[d.folder], d.variable) for d in needed_datasets(HADRONS)}
    assert ours.items() <= theirs.items()
    assert set(ours) == set(ARCHIVES)


def test_the_verb(site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["physics-data"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert re.fullmatch(rf"{EMLOW} +built-in tables: screened Bethe-Heitler and Sandia tables", shown[0])
    assert shown[-1].endswith("caloforge physics-data install lhcb-ecal")
    # The official sums hold for a mirror too.
    assert main(["physics-data", "install", "--to", str(tmp_path), "--from", site.address]) == 1
    messages = capsys.readouterr().err
    assert f"to download into {tmp_path}: {EMLOW} (0.2" in messages
    assert "is not the official file" in messages.splitlines()[-1]
    site.install("lhcb-ecal", to=tmp_path)
    assert main(["physics-data", "install", "--to", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{tmp_path}: already there: {EMLOW}, G4PARTICLEXS4.2, {LEVELS}, {STATES}"
    assert lines[1].endswith(f"export GEANT4_DATA_DIR={tmp_path}")
    assert main(["physics-data", "install", "--to", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["present"] == [EMLOW, "G4PARTICLEXS4.2", LEVELS, STATES]
    assert main(["physics-data", "show", "lhcb-ecal", "--json"]) == 0
    assert [entry["folder"] for entry in json.loads(capsys.readouterr().out)] == [None] * 4
    assert main(["physics-data", "show", "--to", str(tmp_path)]) == 2
    assert "--to goes with install" in capsys.readouterr().err
    assert main(["physics-data", "instal"]) == 2
