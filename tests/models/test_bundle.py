"""Bundles: the same content gives the same bytes, and no damage goes unnoticed."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from caloforge.detector import load_detector
from caloforge.errors import FormatError, RequestError
from caloforge.models import bundle as bundles
from caloforge.models.bundle import Bundle, Domain, read_bundle, resolve_bundle, shipped_bundle, write_bundle

PARTS = {"sampler.onnx": b"graph" * 50, "weights.safetensors": bytes(range(256))}


def write(path: Path, **changes: Any) -> Path:
    detector = load_detector("lhcb-ecal")
    content: dict[str, Any] = {
        "family": "wgan-gp",
        "detector": detector,
        "domain": Domain.of(detector),
        "noise_width": 7,
        "config": {"layers": [1, 2]},
        "metrics": {"auc": 0.625},
        "provenance": {"seed": 3},
        "parts": PARTS,
    }
    return write_bundle(path, **(content | changes))


def content(bundle: Bundle) -> tuple[Any, ...]:
    parts = {name: bundle.part(name) for name in bundle.parts}
    facts = (bundle.family, bundle.domain, bundle.noise_width, bundle.config, bundle.metrics, bundle.provenance)
    return (*facts, bundle.detector, parts)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    detector = load_detector("lhcb-ecal")
    bundle = read_bundle(write(tmp_path / "a.caloforge"))
    parts = PARTS | {"detector.toml": detector.toml.encode()}
    expected = ("wgan-gp", Domain.of(detector), 7, {"layers": [1, 2]}, {"auc": 0.625}, {"seed": 3}, detector, parts)
    assert content(bundle) == expected


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    first = write(tmp_path / "a.caloforge")
    second = write(tmp_path / "b.caloforge", parts=dict(reversed(PARTS.items())))
    assert first.read_bytes() == second.read_bytes()
    assert read_bundle(first).digest == read_bundle(second).digest
    third = write(tmp_path / "c.caloforge", provenance={"seed": 4})
    assert read_bundle(third).digest != read_bundle(first).digest


def test_a_folder_holds_nothing_but_the_whole_bundle(tmp_path: Path) -> None:
    write(tmp_path / "a.caloforge")
    assert [path.name for path in tmp_path.iterdir()] == ["a.caloforge"]


def test_an_existing_bundle_is_kept(tmp_path: Path) -> None:
    before = write(tmp_path / "a.caloforge").read_bytes()
    with pytest.raises(RequestError, match="exists"):
        write(tmp_path / "a.caloforge", noise_width=8)
    assert (tmp_path / "a.caloforge").read_bytes() == before
    write(tmp_path / "a.caloforge", noise_width=8, overwrite=True)
    assert read_bundle(tmp_path / "a.caloforge").noise_width == 8


@pytest.mark.parametrize("name", [*PARTS, "detector.toml"])
def test_a_changed_part_is_named(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "a.caloforge")
    tampered = tmp_path / "tampered.caloforge"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(tampered, "w") as new:
        for info in old.infolist():
            data = old.read(info)
            new.writestr(info, bytes([data[0] ^ 1]) + data[1:] if info.filename == name else data)
    with pytest.raises(FormatError, match=f"part {name} has changed"):
        read_bundle(tampered)


def test_a_part_changed_after_reading_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.caloforge")
    bundle = read_bundle(path)
    write(path, parts=PARTS | {"sampler.onnx": b"other"}, overwrite=True)
    with pytest.raises(FormatError, match=r"sampler\.onnx"):
        bundle.part("sampler.onnx")


@given(position=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
@example(position=0.979230778388121, bit=6)  # in the archive's version, which then is not known
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_flipped_bit_never_changes_what_is_read(tmp_path: Path, position: float, bit: int) -> None:
    whole = tmp_path / "whole.caloforge"
    if not whole.exists():
        write(whole)
    data = bytearray(whole.read_bytes())
    data[int(position * len(data))] ^= 1 << bit
    damaged = tmp_path / "damaged.caloforge"
    damaged.write_bytes(data)
    try:
        found = content(read_bundle(damaged))
    except FormatError:
        return
    assert found == content(read_bundle(whole))  # a bit of the archive that carries no content


@given(share=st.floats(0, 1, exclude_max=True))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_cut_bundle_is_refused(tmp_path: Path, share: float) -> None:
    whole = tmp_path / "whole.caloforge"
    if not whole.exists():
        write(whole)
    data = whole.read_bytes()
    cut = tmp_path / "cut.caloforge"
    cut.write_bytes(data[: int(share * len(data))])
    with pytest.raises(FormatError, match=r"cut\.caloforge"):
        read_bundle(cut)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "version 2.*reads version 1"),
        ({"format": "other"}, "not a model bundle"),
        ({"family": "gna"}, "unknown model family"),
        ({"parts": {}}, "not listed"),
        ({"noise_width": "many"}, "does not describe a model"),
        ({"domain": {"names": ["energy"], "low": [1], "high": [2], "particles": [11]}}, "domain names"),
    ],
)
def test_a_manifest_of_another_kind_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = write(tmp_path / "a.caloforge")
    other = tmp_path / "other.caloforge"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(other, "w") as new:
        for info in old.infolist():
            data = old.read(info)
            if info.filename == "bundle.json":
                data = json.dumps(json.loads(data) | change).encode()
            new.writestr(info, data)
    with pytest.raises(FormatError, match=message):
        read_bundle(other)


@pytest.mark.parametrize("data", [b"", b"text", b"\x89HDF\r\n\x1a\n" + bytes(500)])
def test_a_file_of_another_format_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.caloforge"
    path.write_bytes(data)
    with pytest.raises(FormatError, match="not a model bundle"):
        read_bundle(path)
    with pytest.raises(FormatError, match="no such file"):
        read_bundle(tmp_path / "missing.caloforge")


@pytest.mark.parametrize(
    "change",
    [
        {"family": "wgan-pg"},
        {"metrics": {"auc": float("nan")}},
        {"config": {"path": Path("x")}},
        {"parts": {"../outside": b""}},
        {"parts": {"bundle.json": b""}},
    ],
)
def test_what_cannot_be_a_bundle_is_not_written(tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(RequestError):
        write(tmp_path / "a.caloforge", **change)
    assert not list(tmp_path.iterdir())


def test_names_of_models_are_resolved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundles, "SHIPPED", tmp_path)
    with pytest.raises(RequestError, match="train one"):
        shipped_bundle("lhcb-ecal")
    path = write(tmp_path / "lhcb-ecal-neighbour.caloforge", family="neighbour")
    assert resolve_bundle(None, "lhcb-ecal").path == path
    best = write(tmp_path / "lhcb-ecal-wgan-gp.caloforge")
    assert resolve_bundle(None, "lhcb-ecal").path == best
    assert resolve_bundle("neighbour", "lhcb-ecal").path == path
    assert resolve_bundle(str(best), "lhcb-ecal").path == best
    with pytest.raises(RequestError, match=r"did you mean 'neighbour'.*neighbour, wgan-gp"):
        resolve_bundle("neighbor", "lhcb-ecal")
    with pytest.raises(FormatError, match="no such file"):
        resolve_bundle("missing.caloforge", "lhcb-ecal")


@pytest.mark.parametrize(("low", "high"), [((1.0,), (0.0,)), ((1.0, 2.0), (3.0, 4.0)), ((float("nan"),), (1.0,))])
def test_an_empty_domain_is_refused(low: tuple[float, ...], high: tuple[float, ...]) -> None:
    with pytest.raises(RequestError):
        Domain(names=("energy",), low=low, high=high, particles=(11,))
