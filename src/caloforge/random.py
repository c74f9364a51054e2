"""Counter-based random streams: event ``i`` of a stream owns a fixed block of numbers.

A row depends on (seed, stream, event number) only, so the same event comes out alone, in any batch and on any worker.
The generator is Philox4x64-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC11), its 128-bit key the
first half of SHA-256 over seed and stream name. Only its raw 64-bit output is used, which numpy guarantees not to
change, never the methods of ``numpy.random.Generator``, which may.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import RequestError

_WORDS = 4  # 64-bit words one step of the Philox counter yields
MAX_SEED = 2**63 - 1


def check_seed(seed: object) -> int:
    """Return ``seed`` when it is an integer in 0..2^63-1, the range every stream takes.

    Raises:
        RequestError: it is not.
    """
    if not isinstance(seed, int | np.integer) or not 0 <= seed <= MAX_SEED:
        raise RequestError(f"the seed must be an integer from 0 to {MAX_SEED}, not {seed!r}")
    return int(seed)


def _bit_generator(seed: int, stream: str, counter: int) -> np.random.Philox:
    digest = hashlib.sha256(f"{check_seed(seed)}\0{stream}".encode()).digest()
    return np.random.Philox(key=np.frombuffer(digest[:16], dtype="<u8").astype(np.uint64), counter=counter)


def _raw(seed: int, stream: str, start: int, count: int, width: int) -> NDArray[np.uint64]:
    """Raw words of the events ``start`` .. ``start + count``: (count, width) uint64."""
    if min(start, count, width) < 0:
        raise RequestError(f"start, count and width must not be negative; got {start}, {count}, {width}")
    if count == 0 or width == 0:
        return np.empty((count, width), dtype=np.uint64)
    blocks = -(-width // _WORDS)  # whole counter steps an event owns
    words: NDArray[np.uint64] = _bit_generator(seed, stream, start * blocks).random_raw(count * blocks * _WORDS)
    return words.reshape(count, blocks * _WORDS)[:, :width]


def uniforms(seed: int, stream: str, start: int, count: int, width: int) -> NDArray[np.float64]:
    """Uniform numbers in the open interval (0, 1), shape (count, width), for events ``start`` to ``start + count``.

    >>> whole = uniforms(7, "conditions", 0, 100, 5)
    >>> bool((whole[42] == uniforms(7, "conditions", 42, 1, 5)[0]).all())
    True
    """
    # 52 bits plus a half: both ends are excluded and every value is exact in float64.
    return ((_raw(seed, stream, start, count, width) >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52


def normals(seed: int, stream: str, start: int, count: int, width: int) -> NDArray[np.float32]:
    """Standard normal numbers, shape (count, width), float32: the inverse normal distribution of :func:`uniforms`.

    The inverse takes exactly one uniform a number, which keeps an event's block at a fixed size.
    """
    from scipy.special import ndtri

    values: NDArray[np.float32] = ndtri(uniforms(seed, stream, start, count, width)).astype(np.float32)
    return values


def permutation(seed: int, stream: str, epoch: int, n: int) -> NDArray[np.int64]:
    """A permutation of ``range(n)``, shape (n,), of its own for every epoch.

    >>> sorted(permutation(1, "training/batches", 0, 4).tolist())
    [0, 1, 2, 3]
    """
    words = _raw(seed, f"{stream}/permutation/{epoch}", 0, n, 1)[:, 0]
    return np.argsort(words, kind="stable").astype(np.int64)
