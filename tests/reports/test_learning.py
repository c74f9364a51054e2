"""The picture of the learning curves."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from caloforge.reports.learning import write_learning_curves


def entry(epoch: int, score: float) -> dict[str, object]:
    distances = {"response": score, "width_along": 2 * score}
    return {"epoch": epoch, "score": score, "losses": {"critic_distance": 1.0, "penalty": 0.01}, "distances": distances}


def test_a_png_that_follows_the_history(tmp_path: Path) -> None:
    from matplotlib.image import imread

    pictures = []
    for scores in ((0.3, 0.2, 0.1), (0.1, 0.2, 0.3)):
        path = write_learning_curves([entry(i + 1, s) for i, s in enumerate(scores)], tmp_path / "curves.png")
        pictures.append(np.asarray(imread(path)))
    assert pictures[0].shape == pictures[1].shape
    assert (pictures[0] != pictures[1]).any()
    assert [path.name for path in tmp_path.iterdir()] == ["curves.png"]
