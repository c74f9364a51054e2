"""Files: what is written is read, what is broken is refused, and a name never stands for half a file."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

import caloforge
from caloforge.detector import detector_from_toml
from caloforge.errors import FormatError, RequestError, WorkError
from caloforge.showers import ShowerFile, Showers, ShowerWriter, concatenate, load, save
from caloforge.showers.arrays import WHOLE_CHUNKS


@pytest.fixture
def written(tmp_path: Path, showers: Showers) -> Path:
    path = tmp_path / "showers.h5"
    save(path, showers, source="geant4", provenance={"seed": 1})
    return path


def assert_same(one: Showers, other: Showers) -> None:
    for name in ("energies", "layer_energies", "absorber_energies", "extrapolated"):
        left, right = getattr(one, name), getattr(other, name)
        assert (left is None) == (right is None), name
        if left is not None:
            np.testing.assert_array_equal(left, right)
    np.testing.assert_allclose(one.conditions.matrix, other.conditions.matrix, rtol=3e-7, atol=3e-7)
    np.testing.assert_array_equal(one.conditions.pdg, other.conditions.pdg)


def only_file(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_round_trip(written: Path, showers: Showers) -> None:
    assert_same(load(written), showers)
    with ShowerFile(written) as file:
        assert (len(file), file.source, file.detector) == (40, "geant4", showers.detector)
        assert file.provenance == {"seed": 1, "caloforge": caloforge.__version__}
        np.testing.assert_array_equal(file.conditions().matrix, load(written).conditions.matrix)
        assert_same(file.read(10, 13), showers[10:13])
        assert_same(file.read(-3), showers[-3:])
        assert [len(block) for block in file.blocks(15)] == [15, 15, 10]


def test_h5py_alone_reads_it_as_calochallenge_does(written: Path, showers: Showers) -> None:
    with h5py.File(written) as file:
        assert file["incident_energies"].shape == (40, 1)
        assert file["incident_energies"].dtype == file["showers"].dtype == np.float32
        np.testing.assert_array_equal(file["showers"][:], showers.energies)
        np.testing.assert_allclose(file["incident_energies"][:, 0], showers.conditions.column("energy"), rtol=1e-7)
        assert file.attrs["format"] == "caloforge-showers"
        assert file.attrs["detector_toml"] == showers.detector.toml
        assert file["conditions/momentum"].shape == (40, 3)
        assert json.loads(file.attrs["provenance"])["seed"] == 1


def test_blocks_make_the_same_file_as_one_write(tmp_path: Path, written: Path, showers: Showers) -> None:
    with ShowerWriter(tmp_path / "blocks.h5", showers.detector, source="model", provenance={}) as writer:
        for start in range(0, 40, 7):
            writer.append(showers[start : start + 7])
    assert_same(load(tmp_path / "blocks.h5"), load(written))


def test_a_file_may_be_empty(tmp_path: Path, showers: Showers) -> None:
    with ShowerWriter(tmp_path / "empty.h5", showers.detector, source="model", provenance={}):
        pass
    assert len(load(tmp_path / "empty.h5")) == 0


def test_flags_may_begin_in_the_middle(tmp_path: Path, showers: Showers) -> None:
    flagged = dataclasses.replace(showers[2:4], extrapolated=np.array([False, True]))
    with ShowerWriter(tmp_path / "x.h5", showers.detector, source="model", provenance={}) as writer:
        for block in (showers[:2], flagged, showers[4:6]):
            writer.append(block)
    read = load(tmp_path / "x.h5").extrapolated
    assert read is not None
    assert read.tolist() == [False, False, False, True, False, False]


def test_weights_go_with_their_showers(tmp_path: Path, showers: Showers) -> None:
    weights = np.linspace(-1, 3, len(showers))
    save(tmp_path / "w.h5", dataclasses.replace(showers, weights=weights), source="import", provenance={})
    np.testing.assert_array_equal(load(tmp_path / "w.h5", 3, 9).weights, weights[3:9])
    with h5py.File(tmp_path / "w.h5", "a") as file:
        file["weights"][5] = np.inf
    with pytest.raises(FormatError, match=r"weights\[5\] is inf"):
        load(tmp_path / "w.h5")


def test_blocks_must_agree_on_optional_arrays(tmp_path: Path, showers: Showers) -> None:
    bare = dataclasses.replace(showers, layer_energies=None)
    with ShowerWriter(tmp_path / "x.h5", showers.detector, source="model", provenance={}) as writer:
        writer.append(showers)
        with pytest.raises(RequestError, match="every block of a file has layer_energies or none"):
            writer.append(bare)
    assert len(load(tmp_path / "x.h5")) == len(showers)


def test_an_existing_output_is_refused_before_any_work_and_kept(written: Path, showers: Showers) -> None:
    before = written.read_bytes()
    with pytest.raises(RequestError, match="exists; .*--overwrite"):
        ShowerWriter(written, showers.detector, source="model", provenance={}).__enter__()
    assert written.read_bytes() == before
    save(written, showers[:3], source="model", provenance={}, overwrite=True)
    assert len(load(written)) == 3
    assert only_file(written.parent) == ["showers.h5"]


def test_an_output_that_appears_meanwhile_is_kept(tmp_path: Path, showers: Showers) -> None:
    path = tmp_path / "x.h5"
    writer = ShowerWriter(path, showers.detector, source="model", provenance={}).__enter__()
    writer.append(showers)
    path.write_text("somebody else's")
    with pytest.raises(RequestError, match="exists"):
        writer.__exit__(None, None, None)
    assert path.read_text() == "somebody else's"
    assert only_file(tmp_path) == ["x.h5"]


def test_a_missing_folder_and_a_folder_as_output(tmp_path: Path, showers: Showers) -> None:
    with pytest.raises(RequestError, match="folder .* does not exist"):
        save(tmp_path / "none" / "x.h5", showers, source="model", provenance={})
    with pytest.raises(RequestError, match="is a folder"):
        save(tmp_path, showers, source="model", provenance={}, overwrite=True)


def test_a_place_where_nothing_can_be_written_is_named(tmp_path: Path, showers: Showers) -> None:
    path = tmp_path / ("x" * 240 + ".h5")  # fits as a name, but the temporary name beside it does not
    with pytest.raises(WorkError, match=r"cannot write into the folder .* \(File name too long\); .*another place"):
        save(path, showers, source="model", provenance={})
    assert only_file(tmp_path) == []


@pytest.mark.parametrize("method", ["flush", "close"])
def test_a_failed_write_is_one_clear_line(
    tmp_path: Path, showers: Showers, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = h5py.File.close

    def fail(file: h5py.File) -> None:
        original(file)
        raise OSError(28, "Can't write data (file write failed: time = now, buf = 0x55d6f5678240)")

    monkeypatch.setattr(h5py.File, method, fail)
    with pytest.raises(WorkError) as caught:
        save(tmp_path / "x.h5", showers, source="model", provenance={})
    monkeypatch.undo()
    assert str(caught.value) == (
        f"cannot write {tmp_path / 'x.h5'} (No space left on device); make room or choose another place"
    )
    assert only_file(tmp_path) == []


STOPPED = """
import os, signal, sys
import h5py
import numpy as np
from caloforge.detector import draw_conditions, load_detector
from caloforge.showers import Showers, save

def stop(number, frame):
    raise SystemExit(143)

def closed(file):
    os.kill(os.getpid(), signal.SIGTERM)
    original(file)

detector = load_detector("lhcb-ecal")
showers = Showers(detector, draw_conditions(detector, 1, 0, 40), np.ones((40, 900), dtype=np.float32))
signal.signal(signal.SIGTERM, stop)
original, h5py.File.close = h5py.File.close, closed
save(sys.argv[1], showers, source="model", provenance={})
"""


def test_sigterm_during_the_last_write_leaves_nothing_behind(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(Path(caloforge.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", STOPPED, str(tmp_path / "x.h5")], env=environment)
    assert done.returncode == 143
    assert only_file(tmp_path) == []


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_nothing_behind(tmp_path: Path, showers: Showers, error: type[BaseException]) -> None:
    def fail() -> None:
        with ShowerWriter(tmp_path / "x.h5", showers.detector, source="model", provenance={}) as writer:
            writer.append(showers)
            assert len(only_file(tmp_path)) == 1
            raise error

    with pytest.raises(error):
        fail()
    assert only_file(tmp_path) == []


KILLED = """
import sys
from caloforge.detector import draw_conditions, load_detector
from caloforge.showers import Showers, ShowerWriter
import numpy as np
detector = load_detector("lhcb-ecal")
block = Showers(detector, draw_conditions(detector, 1, 0, 100), np.ones((100, 900), dtype=np.float32))
with ShowerWriter(sys.argv[1], detector, source="model", provenance={}) as writer:
    while True:
        writer.append(block)
        print("written", flush=True)
"""


def test_kill_9_leaves_no_file_under_the_final_name(tmp_path: Path, showers: Showers) -> None:
    path = tmp_path / "x.h5"
    environment = os.environ | {"PYTHONPATH": str(Path(caloforge.__file__).parents[1])}
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "written\n"
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not path.exists()
    save(path, showers, source="model", provenance={})  # the name is free for the next try
    assert len(load(path)) == 40


FILLED = """
import resource, sys
from caloforge.detector import draw_conditions, load_detector
from caloforge.errors import WorkError
from caloforge.showers import Showers, save
import numpy as np
detector, n = load_detector("lhcb-ecal"), int(sys.argv[2])
energies = np.random.default_rng(1).random((n, 900), dtype=np.float32)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    save(sys.argv[1], Showers(detector, draw_conditions(detector, 1, 0, n), energies), source="model", provenance={})
except WorkError as error:
    print(error)
"""


@pytest.mark.parametrize("n", [200, WHOLE_CHUNKS, WHOLE_CHUNKS + 200])  # a chunk in part, whole chunks, both
def test_a_full_disk_is_one_clear_line_and_no_crash(tmp_path: Path, n: int) -> None:
    """A limit on the size of files stands for the disk."""
    path = tmp_path / "x.h5"
    environment = os.environ | {"PYTHONPATH": str(Path(caloforge.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", FILLED, str(path), str(n)], capture_output=True, text=True, env=environment
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(rf"cannot write {path} \(.*\); make room or choose another place\n", done.stdout)
    assert only_file(tmp_path) == []


def damage(path: Path, change: Callable[[h5py.File], None]) -> None:
    with h5py.File(path, "r+") as file:
        change(file)


def set_cell(value: float) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        file["showers"][4, 5] = value

    return change


def drop(name: str) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[name]

    return change


def fewer_cells(file: h5py.File) -> None:
    values = file["showers"][:, :800]
    del file["showers"]
    file["showers"] = values


def fewer_conditions(file: h5py.File) -> None:
    file["conditions/pdg"].resize(39, axis=0)


def retyped(name: str, dtype: object) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        shape = file[name].shape
        del file[name]
        file.create_dataset(name, shape=shape, dtype=dtype)

    return change


def standing_still(file: h5py.File) -> None:
    file["conditions/momentum"][6] = (0.0, 0.0, 0.0)


def group_instead(name: str) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[name]
        file.create_group(name)

    return change


def no_group(file: h5py.File) -> None:
    del file["conditions"]
    file["conditions"] = np.ones(40)


def attribute(name: str, value: object) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        file.attrs[name] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_cell(np.nan), r"showers\[4, 5\] is nan MeV"),
        (set_cell(-1.0), r"showers\[4, 5\] is -1 MeV"),
        (set_cell(np.inf), r"showers\[4, 5\] is inf MeV"),
        (fewer_cells, r"'showers' has shape \(40, 800\); lhcb-ecal with 40 showers needs \(40, 900\)"),
        (fewer_conditions, r"'conditions/pdg' has shape \(39,\)"),
        (drop("showers"), "lacks the array 'showers'"),
        (drop("conditions"), "lacks the array 'conditions/pdg'"),
        (attribute("format", "something"), "not a file of CaloForge showers"),
        (retyped("showers", h5py.string_dtype()), "'showers' is of the type object; real numbers are needed"),
        (retyped("showers", np.complex64), "'showers' is of the type complex64"),
        (retyped("incident_energies", "S4"), "'incident_energies' is of the type"),
        (retyped("conditions/pdg", np.float64), "'conditions/pdg' is of the type float64; whole numbers are needed"),
        (retyped("layer_energies", np.complex128), "'layer_energies' is of the type complex128"),
        (standing_still, r"momentum of event 6 is \(0, 0, 0\) MeV; .* p_z > 0"),
        (group_instead("layer_energies"), "'layer_energies' is a group"),
        (group_instead("showers"), "lacks the array 'showers'"),
        (no_group, "lacks the array 'conditions/pdg'"),
        (attribute("format", [1, 2]), "not a file of CaloForge showers"),
        (attribute("source", [1, 2]), "the attribute 'source' is"),
        (attribute("version", "one"), "the attribute 'version' is 'one', not a whole number"),
        (attribute("version", 1.5), "'version' is .*1.5"),
        (attribute("version", [1, 1]), "'version' is .*not a whole number"),
        (attribute("version", 99), "version 99 .* reads up to 1"),
        (attribute("source", "hearsay"), "'source' is 'hearsay'"),
        (attribute("provenance", "{"), "not JSON"),
        (attribute("detector_toml", "name = 1"), "detector"),
    ],
)
def test_a_broken_file_is_refused(written: Path, change: Callable[[h5py.File], None], message: str) -> None:
    damage(written, change)
    with pytest.raises(FormatError, match=message) as caught:
        load(written)
    assert str(written) in str(caught.value)


def test_a_file_without_its_detector_resolves_it_by_name(written: Path, showers: Showers) -> None:
    damage(written, lambda file: file.attrs.__delitem__("detector_toml"))
    assert_same(load(written), showers)
    damage(written, attribute("detector", "lhcb"))
    with pytest.raises(FormatError, match="unknown detector 'lhcb'; did you mean 'lhcb-ecal'"):
        load(written)


@pytest.mark.parametrize("keep", [0.0, 0.001, 0.3, 0.999])
def test_a_cut_file_is_refused(written: Path, keep: float) -> None:
    content = written.read_bytes()
    written.write_bytes(content[: int(keep * len(content))])
    with pytest.raises(FormatError, match="empty|cut|not an HDF5 file"):
        load(written)


def test_a_flipped_bit_in_the_energies_is_noticed(written: Path) -> None:
    with h5py.File(written) as file:
        offset = file["showers"].id.get_chunk_info(0).byte_offset
    content = bytearray(written.read_bytes())
    content[offset + 200] ^= 4
    written.write_bytes(content)
    with pytest.raises(FormatError, match="damaged or cut"):
        load(written)


@pytest.mark.parametrize("size", [WHOLE_CHUNKS, 1000, 300, 70])
def test_blocks_of_any_size_give_the_same_arrays(
    make_showers: Callable[..., Showers], size: int, tmp_path: Path
) -> None:
    showers = make_showers(1400)
    with ShowerWriter(tmp_path / "x.h5", showers.detector, source="geant4", provenance={}) as writer:
        for start in range(0, len(showers), size):
            writer.append(showers[start : start + size])
    assert_same(load(tmp_path / "x.h5"), showers)


def test_flipped_bits_anywhere_in_a_chunk_are_noticed(make_showers: Callable[..., Showers], tmp_path: Path) -> None:
    """Or are among the few that a zlib stream does not use, and change nothing."""
    path, showers = tmp_path / "x.h5", make_showers(257)
    save(path, showers, source="model", provenance={})
    with h5py.File(path) as file:
        chunk = file["showers"].id.get_chunk_info(0)
    offset, size, content = chunk.byte_offset, chunk.size, path.read_bytes()
    places = [0, 1, *range(100, size, 20_011), *range(size - 8, size)]
    noticed = 0
    for place in places:
        damaged = bytearray(content)
        damaged[offset + place] ^= 1 << place % 8
        path.write_bytes(damaged)
        try:
            found = load(path)
        except FormatError:
            noticed += 1
        else:
            assert_same(found, showers)
    assert noticed > 0.7 * len(places)


def test_a_chunk_that_cannot_be_compressed_is_written_all_the_same(
    make_showers: Callable[..., Showers], tmp_path: Path
) -> None:
    showers = make_showers(300)
    random = np.random.default_rng(1)
    bits = random.integers(0, 2**30, showers.energies.shape, dtype=np.uint32)  # of numbers between 0 and 2
    showers = dataclasses.replace(showers, energies=bits.view(np.float32))
    save(tmp_path / "x.h5", showers, source="model", provenance={})
    with h5py.File(tmp_path / "x.h5") as file:
        assert file["showers"].id.get_chunk_info(0).size > 0.9 * showers.energies[:256].nbytes
    assert_same(load(tmp_path / "x.h5"), showers)


def test_missing_files_and_other_formats_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="no such file"):
        load(tmp_path / "none.h5")
    (tmp_path / "text.h5").write_text("energy,showers\n1,2\n")
    with pytest.raises(FormatError, match="not an HDF5 file"):
        load(tmp_path / "text.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["energy"] = np.ones(3)
    with pytest.raises(FormatError, match="not a file of CaloForge showers"):
        load(tmp_path / "other.h5")


def test_full_simulation_reads(shared_data: Path) -> None:
    showers = load(shared_data / "lhcb-ecal-electron-train.h5", 100, 400)
    assert len(showers) == 300
    assert showers.layer_energies is not None
    visible = showers.energies.sum(axis=1, dtype=np.float64)
    # Cells cover the central 600 mm of the layers; next to nothing leaks past them.
    assert (visible <= showers.layer_energies.sum(axis=1, dtype=np.float64) * (1 + 1e-3)).all()
    assert np.median(visible / showers.conditions.column("energy")) == pytest.approx(0.145, abs=0.002)


def test_files_are_joined_without_being_unpacked(make_showers: Callable[..., Showers], tmp_path: Path) -> None:
    """The compressed chunks are those of the parts, and what comes out is what went in."""
    first, second = make_showers(WHOLE_CHUNKS), make_showers(300, seed=2)
    for name, part in (("first", first), ("second", second)):
        save(tmp_path / name, part, source="geant4", provenance={})
    with ShowerWriter(tmp_path / "whole.h5", first.detector, source="geant4", provenance={}) as writer:
        for name in ("first", "second"):
            with ShowerFile(tmp_path / name) as file:
                writer.append_file(file)
    assert_same(load(tmp_path / "whole.h5"), concatenate([first, second]))
    with h5py.File(tmp_path / "whole.h5") as whole, h5py.File(tmp_path / "second") as part:
        for name, offset in (("showers", (256, 0)), ("absorber_energies", (0, 0)), ("conditions/pdg", (0,))):
            there = (offset[0] + WHOLE_CHUNKS, *offset[1:])
            assert whole[name].id.read_direct_chunk(there) == part[name].id.read_direct_chunk(offset)


def test_what_cannot_be_joined_is_refused(make_showers: Callable[..., Showers], tmp_path: Path) -> None:
    showers = make_showers(300)
    bare = Showers(showers.detector, showers.conditions, showers.energies)
    detector = detector_from_toml(showers.detector.toml.replace("value = 124.0", "value = 100.0"))
    for name, part in (("part", showers), ("bare", bare), ("other", make_showers(3, detector=detector))):
        save(tmp_path / name, part, source="import", provenance={})
    with ShowerWriter(tmp_path / "whole.h5", showers.detector, source="import", provenance={}) as writer:

        def join(name: str) -> None:
            with ShowerFile(tmp_path / name) as file:
                writer.append_file(file)

        with pytest.raises(RequestError, match="other those of another detector"):
            join("other")
        with h5py.File(tmp_path / "part", "a") as file:
            energies = file["showers"][:]
            del file["showers"]
            file.create_dataset("showers", data=energies, chunks=(100, 900))
        with pytest.raises(FormatError, match="part: 'showers' is not laid out as this CaloForge does it"):
            join("part")
        writer.append(make_showers(WHOLE_CHUNKS))
        with pytest.raises(RequestError, match="either every block of a file has layer_energies or none"):
            join("bare")
        writer.append(showers)
        with pytest.raises(RequestError, match="a file can follow a multiple of 1024 showers; there are 1324"):
            join("bare")
