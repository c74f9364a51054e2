"""A trained model as one file (``*.caloforge``): everything that is needed to use it, and nothing that can run.

The file is a ZIP archive without compression. ``bundle.json`` holds the format version, the family, the domain, the
configuration, the metrics at training, the provenance, and size and SHA-256 of each of the other parts:
``detector.toml`` always, ``sampler.onnx`` and ``weights.safetensors`` as the family needs them. Time stamps and order
are fixed, so the same content gives the same bytes. There is no pickle anywhere.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from caloforge.detector import Conditions, Detector, detector_from_toml
from caloforge.errors import CaloForgeError, FormatError, RequestError, WorkError, unknown_name
from caloforge.models.base import FAMILIES
from caloforge.showers.atomic import atomic_output, check_output

FORMAT = "caloforge-bundle"
VERSION = 1
SUFFIX = ".caloforge"
MANIFEST = "bundle.json"
WEIGHTS = "weights.safetensors"
"""The part with what a model has learnt."""

SHIPPED = Path(__file__).resolve().parent.parent / "bundles"

_PART_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_EPOCH = (1980, 1, 1, 0, 0, 0)
_KEYS = ("family", "domain", "noise_width", "config", "metrics", "provenance", "parts")


@dataclass(frozen=True)
class Domain:
    """The box of conditions that a model was trained in.

    Attributes:
        names: the C conditions, in the detector's order.
        low: (C,) lower ends, in the conditions' own units (MeV, mm, rad).
        high: (C,) upper ends.
        particles: PDG codes.

    Example:
        >>> Domain(names=("energy",), low=(1e3,), high=(1e5,), particles=(11,)).to_json()["high"]
        [100000.0]
    """

    names: tuple[str, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    particles: tuple[int, ...]

    def __post_init__(self) -> None:
        if not len(self.names) == len(self.low) == len(self.high):
            raise RequestError(
                f"a domain needs one name, low and high for each condition; "
                f"got {len(self.names)} names, {len(self.low)} low and {len(self.high)} high"
            )
        for name, low, high in zip(self.names, self.low, self.high, strict=True):
            if not low <= high:
                raise RequestError(f"the domain of {name} is empty: low {low} is not at most high {high}")

    @classmethod
    def of(cls, detector: Detector) -> Domain:
        """Return the whole range that the detector's description gives."""
        return cls(
            names=tuple(spec.name for spec in detector.conditions),
            low=tuple(float(spec.low) for spec in detector.conditions),
            high=tuple(float(spec.high) for spec in detector.conditions),
            particles=tuple(int(code) for code in detector.particles),
        )

    @classmethod
    def covered(cls, conditions: Conditions) -> Domain:
        """Return the box that a training sample covers, and its particles.

        An end of the detector's range that the sample reaches up to a hundredth of the range (in log E for a density
        1/E or a list of energies) counts as covered, since random conditions never lie exactly on it; a fixed condition
        up to a millionth, the rounding of files in float32.

        Raises:
            RequestError: a particle that the detector does not take.
        """
        detector = conditions.detector
        particles = sorted(set(conditions.pdg.tolist()))
        unknown = [code for code in particles if code not in detector.particles]
        if unknown:
            raise RequestError(
                f"the training data hold the particle with PDG code {unknown[0]}; {detector.name} takes "
                f"{', '.join(map(str, detector.particles))}"
            )
        low, high = [], []
        for spec, values in zip(detector.conditions, conditions.matrix.T, strict=True):
            first, last = float(values.min()), float(values.max())
            scale = np.log if spec.logarithmic else np.asarray
            ends = scale(spec.low), scale(spec.high)
            slack = float(0.01 * (ends[1] - ends[0]) + 1e-6 * np.abs(ends).max())
            low.append(float(spec.low) if scale(first) <= scale(spec.low) + slack else first)
            high.append(float(spec.high) if scale(last) >= scale(spec.high) - slack else last)
        return cls(detector.condition_names, tuple(low), tuple(high), tuple(particles))

    def to_json(self) -> dict[str, Any]:
        """Return plain lists, to be written as JSON."""
        return {
            "names": list(self.names),
            "low": [float(value) for value in self.low],
            "high": [float(value) for value in self.high],
            "particles": [int(code) for code in self.particles],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Domain:
        """Return the domain that ``to_json`` described."""
        return cls(
            names=tuple(str(name) for name in data["names"]),
            low=tuple(float(value) for value in data["low"]),
            high=tuple(float(value) for value in data["high"]),
            particles=tuple(int(code) for code in data["particles"]),
        )


@dataclass(frozen=True)
class Bundle:
    """A checked bundle; the parts stay in the file until asked for.

    Attributes:
        path: the file.
        family: one of ``caloforge.models.base.FAMILIES``.
        detector: rebuilt from the bundle's own ``detector.toml``.
        domain: where the model may be asked.
        noise_width: standard-normal numbers a shower.
        config, metrics, provenance: what the training recorded (JSON objects).
        digest: SHA-256 of the whole file, hexadecimal.
        checksums: SHA-256 of each part.
    """

    path: Path
    family: str
    detector: Detector
    domain: Domain
    noise_width: int
    config: dict[str, Any]
    metrics: dict[str, Any]
    provenance: dict[str, Any]
    digest: str
    checksums: dict[str, str] = field(repr=False)

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the parts, sorted."""
        return tuple(sorted(self.checksums))

    def part(self, name: str) -> bytes:
        """Return one part; raises ``RequestError`` for an unknown name, ``FormatError`` where it has changed."""
        if name not in self.checksums:
            raise unknown_name(f"part of {self.path.name}", name, self.parts)
        with _open(self.path) as archive:
            return _read_part(archive, self.path, name, self.checksums[name])


def write_bundle(
    path: str | Path,
    *,
    family: str,
    detector: Detector,
    domain: Domain,
    noise_width: int,
    config: Mapping[str, Any],
    metrics: Mapping[str, Any],
    provenance: Mapping[str, Any],
    parts: Mapping[str, bytes],
    overwrite: bool = False,
) -> Path:
    """Write a bundle under a temporary name and rename it when whole; return its path.

    ``detector.toml`` is added from the detector.

    Raises:
        RequestError: the file exists, the family or a part's name is not valid, or a value has no JSON form (NaN).
        WorkError: the disk is full or cannot be written.
    """
    path = check_output(path, overwrite=overwrite)
    if family not in FAMILIES:
        raise unknown_name("model family", family, FAMILIES)
    content = {"detector.toml": detector.toml.encode(), **parts}
    for name in content:
        if name == MANIFEST or not _PART_NAME.fullmatch(name):
            raise RequestError(f"{name!r} cannot name a part: expected lower-case letters, digits, '.', '_' and '-'")
    manifest = {
        "format": FORMAT,
        "version": VERSION,
        "family": family,
        "detector": detector.name,
        "domain": domain.to_json(),
        "noise_width": int(noise_width),
        "config": dict(config),
        "metrics": dict(metrics),
        "provenance": dict(provenance),
        "parts": {
            name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)} for name, data in content.items()
        },
    }
    try:
        text = json.dumps(manifest, sort_keys=True, indent=1, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise RequestError(f"config, metrics and provenance must be plain JSON with finite numbers: {error}") from error
    try:
        with atomic_output(path, overwrite=overwrite) as partial, partial.open("wb") as stream:
            with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
                _add(archive, MANIFEST, text.encode())
                for name in sorted(content):
                    _add(archive, name, content[name])
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        raise WorkError(f"{path} cannot be written: {error.strerror or error}") from error
    return path


def read_bundle(path: str | Path) -> Bundle:
    """Open a bundle and check version, size and SHA-256 of every part.

    Raises:
        FormatError: the file is missing, cut, changed, not a bundle, or of a later format; the message names the part.
    """
    path = Path(path)
    with _open(path) as archive:
        manifest = _manifest(archive, path)
        checksums: dict[str, str] = {}
        for name, entry in manifest["parts"].items():
            checksums[name] = str(entry["sha256"])
            _read_part(archive, path, name, checksums[name])
        extra = sorted({info.filename for info in archive.infolist()} - {MANIFEST, *checksums})
        if extra:
            raise FormatError(f"{path}: the part {extra[0]} is not listed in {MANIFEST}; get the bundle again")
        if "detector.toml" not in checksums:
            raise FormatError(f"{path}: the part detector.toml is missing; get the bundle again")
        toml = _read_part(archive, path, "detector.toml", checksums["detector.toml"])
    try:
        detector = detector_from_toml(toml.decode())
        domain = Domain.from_json(manifest["domain"])
        noise_width = int(manifest["noise_width"])
    except (CaloForgeError, KeyError, TypeError, ValueError) as error:
        raise FormatError(f"{path}: {MANIFEST} or detector.toml does not describe a model: {error}") from error
    names = tuple(spec.name for spec in detector.conditions)
    if domain.names != names:
        raise FormatError(f"{path}: the domain names {domain.names}, the detector's conditions are {names}")
    if manifest["family"] not in FAMILIES:
        raise FormatError(f"{path}: {unknown_name('model family', str(manifest['family']), FAMILIES)}")
    return Bundle(
        path=path,
        family=str(manifest["family"]),
        detector=detector,
        domain=domain,
        noise_width=noise_width,
        config=dict(manifest["config"]),
        metrics=dict(manifest["metrics"]),
        provenance=dict(manifest["provenance"]),
        digest=file_digest(path),
        checksums=checksums,
    )


def shipped_families(detector: str) -> tuple[str, ...]:
    """Return the families with a bundle for this detector inside the package, best first."""
    return tuple(family for family in FAMILIES if (SHIPPED / f"{detector}-{family}{SUFFIX}").is_file())


def shipped_bundle(detector: str, family: str | None = None) -> Path:
    """Return the path of a bundle that comes with the package; without a family, the best one.

    Raises:
        RequestError: there is none; the message lists what there is.
    """
    families = shipped_families(detector)
    if family is None:
        if not families:
            raise RequestError(
                f"no model for the detector {detector} comes with this package; train one "
                f"(caloforge train {detector} ...) and pass it with --model FILE"
            )
        return SHIPPED / f"{detector}-{families[0]}{SUFFIX}"
    if family not in families:
        raise unknown_name(f"model for {detector}", family, families)
    return SHIPPED / f"{detector}-{family}{SUFFIX}"


def resolve_bundle(model: str | Path | None, detector: str) -> Bundle:
    """Read the bundle that a user means: ``None`` (the shipped default), a family's name, or a file."""
    if model is None:
        return read_bundle(shipped_bundle(detector))
    if str(model) in FAMILIES:
        return read_bundle(shipped_bundle(detector, str(model)))
    path = Path(model)
    looks_like_file = path.suffix == SUFFIX or len(path.parts) > 1 or path.exists()
    return read_bundle(path if looks_like_file else shipped_bundle(detector, str(model)))


def reference_sample(detector: str) -> Path:
    """Return the path of the small full-simulation sample that comes with the package."""
    path = SHIPPED / f"{detector}-reference.h5"
    if not path.is_file():
        raise RequestError(f"no reference sample for the detector {detector} comes with this package")
    return path


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    info = zipfile.ZipInfo(name, _EPOCH)
    info.create_system = 3  # the same bytes on every system
    info.external_attr = 0o644 << 16
    archive.writestr(info, data)


def _open(path: Path) -> zipfile.ZipFile:
    if not path.is_file():
        raise FormatError(f"{path}: no such file; expected a model bundle (*{SUFFIX})")
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        if path.suffix == ".onnx":
            raise FormatError(f"{path}: an exported graph is for other programs; give the bundle, *{SUFFIX}") from error
        raise FormatError(f"{path} is not a model bundle, or it was cut: {error}; get the bundle again") from error


def _manifest(archive: zipfile.ZipFile, path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(_read_part(archive, path, MANIFEST, None))
    except ValueError as error:
        raise FormatError(f"{path}: the part {MANIFEST} is not JSON: {error}") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise FormatError(f"{path}: the part {MANIFEST} does not say format={FORMAT!r}; this is not a model bundle")
    if manifest.get("version") != VERSION:
        raise FormatError(
            f"{path}: bundle format version {manifest.get('version')!r}; this CaloForge reads version {VERSION}: "
            "upgrade with pip install -U caloforge"
        )
    missing = [key for key in _KEYS if key not in manifest]
    if missing:
        raise FormatError(f"{path}: the part {MANIFEST} lacks {', '.join(missing)}")
    parts = manifest["parts"]
    if not isinstance(parts, dict) or not all(isinstance(part, dict) and "sha256" in part for part in parts.values()):
        raise FormatError(f"{path}: the part {MANIFEST} does not list the parts with their SHA-256")
    return manifest


def _read_part(archive: zipfile.ZipFile, path: Path, name: str, checksum: str | None) -> bytes:
    try:
        info = archive.getinfo(name)
        if info.compress_type != zipfile.ZIP_STORED:
            raise FormatError(f"{path}: the part {name} is compressed; bundles are stored without compression")
        data = archive.read(info)
    except KeyError:
        raise FormatError(f"{path}: the part {name} is missing; get the bundle again") from None
    except (zipfile.BadZipFile, OSError, EOFError, ValueError, NotImplementedError, RuntimeError) as error:
        raise FormatError(f"{path}: the part {name} is damaged ({error}); get the bundle again") from error
    if checksum is not None and hashlib.sha256(data).hexdigest() != checksum:
        raise FormatError(f"{path}: the part {name} has changed (its SHA-256 is not the recorded one)")
    return data


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
