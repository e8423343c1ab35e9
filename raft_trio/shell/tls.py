"""Mutual TLS: who connects proves to be of the cluster, and nodes prove which one they are.

A certificate must be signed by the cluster's own authority; that is what makes its holder part of the cluster. One that
names a node (as DNS name or common name) may speak as that node and is accepted where that node is expected; one that
names none is good for clients only. Host names play no part: nodes move.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from raft_trio.errors import ConfigError

__all__ = ["TlsFiles", "certificate_names", "client_context", "server_context"]


class TlsFiles(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Paths of PEM files."""

    certificate: Path
    key: Path
    authority: Path
    """Certificates of the authority that signs for this cluster and for nothing else."""


def server_context(files: TlsFiles) -> ssl.SSLContext:
    """For connections that others open. Raises ConfigError."""
    return _context(files, ssl.PROTOCOL_TLS_SERVER)


def client_context(files: TlsFiles) -> ssl.SSLContext:
    """For connections that we open; the caller checks the name. Raises ConfigError."""
    return _context(files, ssl.PROTOCOL_TLS_CLIENT)


def certificate_names(certificate: Mapping[str, Any] | None) -> frozenset[str]:
    """Who the holder of a verified certificate is, given as `ssl.SSLSocket.getpeercert` does."""
    if not certificate:
        return frozenset()
    alternatives = {value for kind, value in certificate.get("subjectAltName", ()) if kind == "DNS"}
    subject = {value for part in certificate.get("subject", ()) for key, value in part if key == "commonName"}
    return frozenset(alternatives | subject)


def _context(files: TlsFiles, protocol: int) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        context.load_cert_chain(files.certificate, files.key)
        context.load_verify_locations(files.authority)
    except OSError as error:
        raise ConfigError(
            f"tls: {error}",
            why=f"{files.certificate}, {files.key} and {files.authority} must be a certificate, its key, its authority",
            fix="name readable PEM files that belong together",
        ) from error
    return context
