"""The binning files of CaloChallenge: XML that says how the voxels of a file divide each layer.

``<Bins>`` holds a ``<Bin pid name>`` with one ``<Layer id r_edges n_bin_alpha>`` a layer: the edges of its rings in mm,
and the number of sectors. A layer with a single edge has no voxels.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from caloforge.detector import Detector, PolarCells
from caloforge.errors import FormatError, RequestError

_NAMES = {11: "electron", -11: "positron", 22: "photon", 211: "pion", -211: "pion", 2212: "proton", 2112: "neutron"}


@dataclass(frozen=True)
class Binning:
    """What a binning file says: the PDG code of its particle, and each layer that has voxels, with its id."""

    path: Path
    particle: int
    layers: tuple[tuple[int, PolarCells], ...]


def round_cells(detector: Detector) -> tuple[PolarCells, ...]:
    """The grids of a detector that is read out in rings and sectors all through.

    Raises:
        RequestError: a cell layer is rectangular.
    """
    grids = [layer.cells for layer in detector.cell_layers]
    for number, cells in enumerate(grids, 1):
        if not isinstance(cells, PolarCells):
            raise RequestError(
                f"the voxels of CaloChallenge are rings cut into sectors; cell layer {number} of {detector.name} has "
                f"{cells} (--detector names the detector of a file that does not carry it)"
            )
    return tuple(cells for cells in grids if isinstance(cells, PolarCells))


def read_binning(path: str | Path) -> Binning:
    """Read a binning file.

    Raises:
        FormatError: the file is missing or no XML, or what it says is no binning of one particle; names the layer.
    """
    path = Path(path)
    try:
        root = ElementTree.parse(path).getroot()
    except OSError as error:
        raise FormatError(f"{path}: {error.strerror or 'cannot be read'}") from error
    except (ElementTree.ParseError, ValueError, LookupError) as error:  # the last two for unknown encodings
        raise FormatError(f"{path}: not a readable XML file ({error})") from error
    bins = root.findall("Bin")
    if root.tag != "Bins" or len(bins) != 1:
        names = ", ".join(str(each.get("name")) for each in bins)
        raise FormatError(
            f"{path}: a binning file has <Bins> with one <Bin>, of the particle whose showers they are; this one has "
            f"<{root.tag}> with {len(bins)}{f' ({names})' if names else ''}"
        )
    layers: list[tuple[int, PolarCells]] = []
    for element in bins[0].findall("Layer"):
        number = _whole(element, "id", path, "a layer")
        if layers and number <= layers[-1][0]:
            raise FormatError(f"{path}: layer {number} comes after layer {layers[-1][0]}; the ids must ascend")
        radii = _radii(element, path, number)
        sectors = _whole(element, "n_bin_alpha", path, f"layer {number}")
        if sectors < 1:
            raise FormatError(f"{path}: layer {number} has n_bin_alpha={sectors}; at least 1 is needed")
        if len(radii) > 1:
            layers.append((number, PolarCells(radii, sectors)))
    return Binning(path, _whole(bins[0], "pid", path, "the <Bin>"), tuple(layers))


def _whole(element: ElementTree.Element, name: str, path: Path, where: str) -> int:
    text = element.get(name)
    try:
        return int(text or "")
    except ValueError:
        raise FormatError(f"{path}: {where} has {name}={text!r}; a whole number is needed") from None


def _radii(element: ElementTree.Element, path: Path, number: int) -> tuple[float, ...]:
    text = element.get("r_edges")
    try:
        radii = tuple(float(part) for part in (text or "").split(","))
    except ValueError:
        radii = ()
    if not radii or not all(map(math.isfinite, radii)) or any(a >= b for a, b in itertools.pairwise(radii)):
        raise FormatError(
            f"{path}: layer {number} has r_edges={text!r}; ascending numbers are needed, such as 0,4.65,9.3"
        )
    return radii


def check_binning(binning: Binning, detector: Detector) -> None:
    """Compare the layers that have voxels with the detector's cell layers, in order; radii to a millionth.

    Raises:
        RequestError: the detector has rectangular cells.
        FormatError: they differ; says where first.
    """
    grids = round_cells(detector)
    for place, ((number, theirs), ours) in enumerate(zip(binning.layers, grids, strict=False), 1):
        same_radii = len(theirs.radii) == len(ours.radii) and all(
            math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-9) for a, b in zip(theirs.radii, ours.radii, strict=True)
        )
        if theirs.sectors != ours.sectors or not same_radii:
            raise FormatError(
                f"{binning.path}: layer {number} has {_words(theirs)}; cell layer {place} of {detector.name} has "
                f"{_words(ours)}. Give the binning and the detector of the same showers"
            )
    if len(binning.layers) != len(grids):
        raise FormatError(
            f"{binning.path} has {len(binning.layers)} layers with voxels; {detector.name} has {len(grids)} cell layers"
        )


def _words(cells: PolarCells) -> str:
    return f"r_edges {_edges(cells)} in {cells.sectors} sectors"


def _edges(cells: PolarCells) -> str:
    return ",".join(repr(radius).removesuffix(".0") for radius in cells.radii)


def binning_text(detector: Detector, particle: int) -> str:
    """The binning file of a detector, for showers of this PDG code.

    Raises:
        RequestError: the detector has rectangular cells.

    >>> from caloforge.detector import load_detector
    >>> print(binning_text(load_detector("calochallenge-2"), 11)[:140])
    <Bins>
       <Bin pid="11" name="electron">
          <Layer id="0" r_edges="0,4.65,9.3,13.95,18.6,23.25,27.9,32.55,37.2,41.85" n_bin_alpha="16" />
    """
    lines = [
        f'      <Layer id="{number}" r_edges="{_edges(cells)}" n_bin_alpha="{cells.sectors}" />\n'
        for number, cells in enumerate(round_cells(detector))
    ]
    name = _NAMES.get(particle, f"pdg{particle}")
    return f'<Bins>\n   <Bin pid="{particle}" name="{name}">\n{"".join(lines)}   </Bin>\n</Bins>\n'
