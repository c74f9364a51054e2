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
_ONE = np.float64(1).view(np.uint64)
_CACHED = 2**14  # numbers worked on at a time: with all that lies between, they stay in the cache of a core
MAX_SEED = 2**63 - 1

_CENTRE = 0.47575  # largest |u - 1/2| of the rational function
_NUMERATOR = (
    -3.969683028665376e01,
    2.209460984245205e02,
    -2.759285104469687e02,
    1.383577518672690e02,
    -3.066479806614716e01,
    2.506628277459239e00,
)
_DENOMINATOR = (
    -5.447609879822406e01,
    1.615858368580409e02,
    -1.556989798598866e02,
    6.680131188771972e01,
    -1.328068155288572e01,
    1.0,
)


def check_seed(seed: object) -> int:
    """Return ``seed`` when it is an integer in 0..2^63-1, the range every stream takes.

    Raises:
        RequestError: it is not.
    """
    if not isinstance(seed, int | np.integer) or not 0 <= seed <= MAX_SEED:
        raise RequestError(f"the seed must be an integer from 0 to {MAX_SEED}, not {seed!r}")
    return int(seed)


def _bit_generator(seed: int, stream: str, start: int, count: int, width: int) -> np.random.Philox:
    """The generator of a stream, about to give the words of ``count`` events from ``start`` on."""
    if min(start, count, width) < 0:
        raise RequestError(f"start, count and width must not be negative; got {start}, {count}, {width}")
    digest = hashlib.sha256(f"{check_seed(seed)}\0{stream}".encode()).digest()
    key = np.frombuffer(digest[:16], dtype="<u8").astype(np.uint64)
    return np.random.Philox(key=key, counter=start * _steps(width))


def _steps(width: int) -> int:
    """Whole counter steps that an event owns."""
    return -(-width // _WORDS)


def _raw(generator: np.random.Philox, count: int, width: int) -> NDArray[np.uint64]:
    """Raw words of the next ``count`` events: (count, width) uint64."""
    owned = _WORDS * _steps(width)
    words: NDArray[np.uint64] = generator.random_raw(count * owned)
    return words.reshape(count, owned)[:, :width]


def _uniforms(generator: np.random.Philox, count: int, width: int) -> NDArray[np.float64]:
    """Uniform numbers of the next ``count`` events: (k + 1/2) / 2^52, where k is the first 52 bits of a word."""
    # k as the fraction of a number in [1, 2), less 1 - 2^-53: exact, and both ends are excluded.
    words = _raw(generator, count, width) >> np.uint64(12)
    words |= _ONE
    numbers = words.view(np.float64)
    numbers -= 1 - 2.0**-53
    return numbers


def uniforms(seed: int, stream: str, start: int, count: int, width: int) -> NDArray[np.float64]:
    """Uniform numbers in the open interval (0, 1), shape (count, width), for events ``start`` to ``start + count``.

    >>> whole = uniforms(7, "conditions", 0, 100, 5)
    >>> bool((whole[42] == uniforms(7, "conditions", 42, 1, 5)[0]).all())
    True
    """
    return _uniforms(_bit_generator(seed, stream, start, count, width), count, width)


def normals(seed: int, stream: str, start: int, count: int, width: int) -> NDArray[np.float32]:
    """Standard normal numbers, shape (count, width), float32: the inverse normal distribution of :func:`uniforms`.

    The inverse takes exactly one uniform a number, which keeps an event's block at a fixed size.
    """
    generator = _bit_generator(seed, stream, start, count, width)
    values = np.empty((count, width), dtype=np.float32)
    rows = max(1, _CACHED // max(1, width))
    for first in range(0, count, rows):
        part = values[first : first + rows]
        part[...] = inverse_normal(_uniforms(generator, len(part), width))
    return values


def inverse_normal(u: NDArray[np.float64]) -> NDArray[np.float64]:
    """The standard normal numbers below which lie the shares ``u`` in (0, 1), to a relative 1.2e-9.

    Nineteen of twenty numbers come from the rational function in (u - 1/2)^2 of P. J. Acklam, "An algorithm for
    computing the inverse normal cumulative distribution function" (2003), the tails from scipy. Sums, products and
    quotients are the same wherever a number stands in an array, which the logarithms of numpy are not; scipy's are.
    """
    from scipy.special import ndtri

    values = u - 0.5
    squares = values * values
    values *= _polynomial(squares, _NUMERATOR)
    values /= _polynomial(squares, _DENOMINATOR)
    tails = np.flatnonzero(squares > _CENTRE**2)
    values.put(tails, ndtri(u.take(tails)))
    return values


def _polynomial(x: NDArray[np.float64], coefficients: tuple[float, ...]) -> NDArray[np.float64]:
    """The polynomial with these coefficients, that of the highest power first."""
    value = x * coefficients[0]
    for coefficient in coefficients[1:-1]:
        value += coefficient
        value *= x
    value += coefficients[-1]
    return value


def permutation(seed: int, stream: str, epoch: int, n: int) -> NDArray[np.int64]:
    """A permutation of ``range(n)``, shape (n,), of its own for every epoch.

    >>> sorted(permutation(1, "training/batches", 0, 4).tolist())
    [0, 1, 2, 3]
    """
    words = _raw(_bit_generator(seed, f"{stream}/permutation/{epoch}", 0, n, 1), n, 1)[:, 0]
    return np.argsort(words, kind="stable").astype(np.int64)
