"""Large files over HTTP: to disk block by block, resumed where they were cut, and checked."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse, InvalidURL
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from caloforge.errors import RequestError, WorkError
from caloforge.progress import progress_bar

MB = 10**6
_ATTEMPTS = 5  # at one file within a call; each goes on where the last was cut
_TIMEOUT = 60.0  # s without a byte
_BLOCK = 1 << 20


def remote_size(url: str) -> int:
    """Bytes of the file at ``url``, as the server tells before it is downloaded.

    Raises:
        RequestError: the server does not have it.
        WorkError: the server fails, cannot be reached, or does not tell.
    """
    with _answer(url, "HEAD") as response:
        length = response.headers.get("Content-Length")
    if length is None:
        raise WorkError(f"the server does not tell the size of {url}; choose another address (--from)")
    return int(length)


def download(url: str, archive: Path, size: int, md5: str, *, progress: bool) -> None:
    """Bring the file at ``url``, of ``size`` bytes, to ``archive``; what an earlier call left there is gone on with.

    Raises:
        RequestError: the server does not have it.
        WorkError: the server fails or cannot be reached, or the file's MD5 sum is another one.
        OSError: the file cannot be written.
    """
    resumed = archive.exists()
    _fetch(url, archive, size, progress)
    if resumed and not _sound(archive, md5):  # what an earlier call left was damaged
        archive.unlink()
        _fetch(url, archive, size, progress)
    if not _sound(archive, md5):
        archive.unlink()
        raise WorkError(
            f"{url} is not the official file: its MD5 sum is not {md5}; nothing was unpacked. Try again, or choose "
            f"another address (--from)"
        )


def _sound(archive: Path, md5: str) -> bool:
    with archive.open("rb") as file:
        return hashlib.file_digest(file, functools.partial(hashlib.md5, usedforsecurity=False)).hexdigest() == md5


def _fetch(url: str, archive: Path, size: int, progress: bool) -> None:
    """Bring the archive to its size, from what there is of it."""
    done = archive.stat().st_size if archive.exists() else 0
    with megabytes(f"downloading {archive.name}", size, done, progress) as reached:
        for _ in range(_ATTEMPTS):
            done = archive.stat().st_size if archive.exists() else 0
            if done == size:
                return
            with (
                _answer(url, "GET", start=done if done < size else 0) as response,
                # 206 is the rest that was asked for; a server that knows no ranges sends all of it.
                archive.open("ab" if response.status == 206 else "wb") as file,
            ):
                while block := _read(response):
                    file.write(block)
                    reached(file.tell())
        done = archive.stat().st_size
        if done != size:
            raise WorkError(
                f"{url} was cut {_ATTEMPTS} times, the last time at {done:,} of {size:,} bytes; the same command goes "
                f"on from there"
            )


def _read(response: HTTPResponse) -> bytes:
    """The next bytes; none at the end, and none where the connection was cut."""
    try:
        return response.read1(_BLOCK)
    except (OSError, HTTPException):
        return b""


def _answer(url: str, method: str, start: int = 0) -> HTTPResponse:
    headers = {"Range": f"bytes={start}-"} if start else {}
    try:
        response = urlopen(Request(url, method=method, headers=headers), timeout=_TIMEOUT)
        assert isinstance(response, HTTPResponse)
        return response
    except HTTPError as error:
        error.close()
        message = f"{url}: the server answers {error.code} {error.reason}"
        if error.code >= 500:
            raise WorkError(f"{message}; try again later, or choose another address (--from)") from error
        raise RequestError(f"{message}; check the address (--from)") from error
    except URLError as error:
        raise WorkError(
            f"cannot reach {url}: {error.reason}; check the network and the address (--from). A site without a network "
            f"outside needs a mirror"
        ) from error
    except (ValueError, HTTPException, OSError) as error:
        kind = RequestError if isinstance(error, ValueError | InvalidURL) else WorkError
        raise kind(f"cannot ask for {url}: {error}; check the address (--from)") from error


@contextmanager
def megabytes(title: str, size: int, done: int, show: bool) -> Iterator[Callable[[int], None]]:
    """A bar in MB; hands out a function that is told how many bytes there are now."""
    shown = done // MB
    with progress_bar(title, -(-size // MB), show=show, unit="MB", done=shown) as advance:

        def reached(now: int) -> None:
            nonlocal shown
            megabytes = -(-now // MB) if now == size else now // MB
            advance(megabytes - shown)
            shown = megabytes

        yield reached
