"""What trained networks can tell, kept in a folder: an evaluation that was interrupted goes on where it was."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from caloforge.evaluation.network_inputs import Inputs
from caloforge.evaluation.results import Measured
from caloforge.showers.atomic import atomic_output


@dataclass(frozen=True)
class NetworkScore:
    """What a trained network can tell.

    Attributes:
        auc: on the test part, which neither trained the network nor chose its epoch; DeLong's error.
        error_rate: at probability 1/2 on the test part, with its binomial error; 0.5 means it cannot tell.
        chosen_auc: AUC on the part that chose the epoch, which is what some publications quote: too far from 0.5.
        chosen_error_rate: error rate on that part.
        epoch: the best one, from 1.
        events: showers of each kind, in all three parts.
    """

    auc: Measured
    error_rate: Measured
    chosen_auc: float
    chosen_error_rate: float
    epoch: int
    events: int


class KeptScores:
    """Scores by what they are of: inputs, network, training and seed, to the last bit.

    Args:
        folder: made when the first network is trained; None keeps scores in memory alone.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._known: dict[str, NetworkScore] = {}

    def score(
        self, sample: Inputs, reference: Inputs, settings: dict[str, Any], train: Callable[[Path | None], NetworkScore]
    ) -> NetworkScore:
        """The score of these inputs under these settings (plain JSON values); trained where it is not known yet.

        ``train`` is given the file for its checkpoints, which is removed in the end.
        """
        digest = hashlib.sha256(json.dumps([settings, sample.shape, reference.shape], sort_keys=True).encode())
        for inputs in (sample, reference):
            digest.update(np.ascontiguousarray(inputs).data)
        key = digest.hexdigest()
        if key not in self._known:
            self._known[key] = self._read(key) or self._trained(key, train)
        return self._known[key]

    def remove(self) -> None:
        """Take away the files of scores, and the folder unless it holds something else."""
        if self._folder is not None and self._folder.is_dir():
            for ending in ("json", "safetensors"):
                for path in self._folder.glob(f"{'[0-9a-f]' * 64}.{ending}"):
                    path.unlink()
            if not any(self._folder.iterdir()):
                self._folder.rmdir()

    def _read(self, key: str) -> NetworkScore | None:
        if self._folder is None or not (path := self._folder / f"{key}.json").exists():
            return None
        try:
            values = json.loads(path.read_text())
            return NetworkScore(**values | {name: Measured(**values[name]) for name in ("auc", "error_rate")})
        except (ValueError, KeyError, TypeError):  # damaged: trained again
            return None

    def _trained(self, key: str, train: Callable[[Path | None], NetworkScore]) -> NetworkScore:
        if self._folder is None:
            return train(None)
        self._folder.mkdir(parents=True, exist_ok=True)
        checkpoint = self._folder / f"{key}.safetensors"
        score = train(checkpoint)
        with atomic_output(self._folder / f"{key}.json", overwrite=True) as partial:
            partial.write_text(json.dumps(dataclasses.asdict(score)))
        checkpoint.unlink(missing_ok=True)
        return score
