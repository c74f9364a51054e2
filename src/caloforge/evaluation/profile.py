"""Depth observables from the energies of the layers, which a file may carry beside those of the cells."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from caloforge.detector import Detector


def depth_moments(layer_energies: NDArray[np.floating], detector: Detector) -> NDArray[np.float64]:
    """(N, 2) mean depth and spread of the depth, mm, of (N, n_layers) energies in MeV.

    mean = sum E_k z_k / sum E_k and spread = sqrt(sum E_k z_k^2 / sum E_k - mean^2), z_k the depth of the middle of
    layer k. An empty shower has 0 for both.

    >>> import numpy as np
    >>> from caloforge.detector import load_detector
    >>> energies = np.zeros((1, 66))
    >>> energies[0, [0, 2]] = 5.0  # middles at 3 and 15 mm
    >>> depth_moments(energies, load_detector("lhcb-ecal")).round(6).tolist()
    [[9.0, 6.0]]
    """
    depth = np.array([layer.front + 0.5 * layer.thickness for layer in detector.layers])
    energies = layer_energies.astype(np.float64)
    total = energies.sum(axis=1, keepdims=True)
    shares = energies / np.where(total > 0, total, 1.0)
    mean = shares @ depth
    variance = shares @ depth**2 - mean**2
    return np.column_stack([mean, np.sqrt(np.clip(variance, 0.0, None))])
