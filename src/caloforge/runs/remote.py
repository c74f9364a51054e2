"""On a worker of Dask: what comes to it, what goes back, and whether it may make showers at all.

Orders and answers are plain values, so that neither the scheduler nor a worker without CaloForge stumbles over them.
"""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from caloforge.errors import require

Order = dict[str, Any]
Answer = tuple[str, Any, str]
"""What came of an order: "shard" and the bytes of its file, "failed" or "refused" and why; and what was printed."""


def host() -> str:
    """Name of the machine, for messages."""
    return platform.node()


def refuse_versions(wanted: Mapping[str, str], found: Mapping[str, str]) -> Answer | None:
    """Return a refusal where the versions ``found`` on this worker are not those ``wanted``, else None."""
    for package, version in wanted.items():
        if found[package] != version:
            return "refused", f"the worker on {host()} has {package} {found[package]}, and not {version} as here", ""
    return None


def new_folder() -> Path:
    """Return a new folder, which the caller removes, and Dask should this worker be killed."""
    worker = require("distributed", "cluster").get_worker()
    return Path(tempfile.mkdtemp(prefix="caloforge-", dir=worker.local_directory))
