"""Certificates for tests: an authority, and files signed by it as `raft_trio.shell.tls` wants them."""

from __future__ import annotations

from pathlib import Path

import trustme

from raft_trio.shell.tls import TlsFiles

__all__ = ["Authority"]


class Authority:
    """One cluster's own."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._ca = trustme.CA()
        self._ca.cert_pem.write_to_path(folder / "ca.pem")

    def issue(self, name: str) -> TlsFiles:
        """A certificate for `name`, a node or not."""
        issued = self._ca.issue_cert(name)
        files = TlsFiles(
            certificate=self._folder / f"{name}.pem",
            key=self._folder / f"{name}.key",
            authority=self._folder / "ca.pem",
        )
        issued.private_key_pem.write_to_path(files.key)
        issued.cert_chain_pems[0].write_to_path(files.certificate)
        return files
