"""Puts the shim into the nodes of a cluster, before their first start."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from histrio.environments.cluster import Cluster
from histrio.environments.preload.build import built
from histrio.environments.preload.page import Order, Page

__all__ = ["journal_path", "load_shim", "page_of"]

_FOLDER = "shim"


def load_shim(cluster: Cluster, *, journal: bool) -> None:
    """Every later start of a node loads the shim. journal: keep what is needed to take back unsynced writes.

    May be asked for several times; one who wants the journal suffices. Blocks, for a second when the shim must be
    compiled. Raises HarnessFailure when it cannot be.
    """
    if not cluster.preloadable:  # linked to the C library and yet not calling it: it would load the shim, and be deaf
        return
    shim = built()
    for node in cluster.nodes:
        folder = _folder(cluster, node)
        if (folder / "page").exists():
            page = Page(folder / "page")
            page.order(Order.JOURNAL, int(journal or page.ordered(Order.JOURNAL)))
            continue
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o777)  # whoever the node runs as writes its journal here
        copy = folder / "shim.so"
        shutil.copyfile(shim, copy)
        Page.create(folder / "page")
        Page(folder / "page").order(Order.JOURNAL, int(journal))
        cluster.set_environ(
            node,
            {
                "LD_PRELOAD": cluster.as_seen(node, copy),
                "HISTRIO_SHIM_PAGE": cluster.as_seen(node, folder / "page"),
                "HISTRIO_SHIM_DATA": cluster.as_seen(node, cluster.volume(node).path),
                "HISTRIO_SHIM_JOURNAL": cluster.as_seen(node, journal_path(cluster, node)),
            },
        )


def page_of(cluster: Cluster, node: str) -> Page | None:
    """What to order the node's shim with; None: no process of it has loaded one."""
    path = _folder(cluster, node) / "page"
    if not os.access(path, os.W_OK):
        return None
    page = Page(path)
    return page if page.attached else None


def journal_path(cluster: Cluster, node: str) -> Path:
    """Its undo journal, as the harness sees it; there is none before the first write."""
    return _folder(cluster, node) / "journal"


def _folder(cluster: Cluster, node: str) -> Path:
    return cluster.records(node) / _FOLDER
