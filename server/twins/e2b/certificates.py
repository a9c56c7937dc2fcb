"""The local certificate authority: it vouches for `localhost` inside sandboxes and nowhere else."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True)
class Certificates:
    chain: Path
    """`localhost`'s certificate and its private key, 0600."""
    bundle: Path
    """What a sandbox trusts beside its system's: the host's extra authorities and ours."""


def prepare(private: Path, public: Path, environ: Mapping[str, str]) -> Certificates:
    """Make the authority once; write the bundle anew each time, for the host's may have changed."""
    chain, authority = private / "localhost.pem", private / "authority.pem"
    if not chain.exists() or not authority.exists():
        import trustme

        made = trustme.CA(organization_name="mk0r on this machine")
        leaf = made.issue_cert("localhost")
        private.mkdir(parents=True, exist_ok=True, mode=0o700)
        authority.write_bytes(made.cert_pem.bytes())
        with os.fdopen(os.open(f"{chain}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
            out.write(leaf.private_key_and_cert_chain_pem.bytes())
        os.replace(f"{chain}.new", chain)  # noqa: PTH105 - the name as a whole, not a part of it
    public.write_bytes(_hosts_own(environ) + authority.read_bytes())
    public.chmod(0o644)
    return Certificates(chain, public)


def _hosts_own(environ: Mapping[str, str]) -> bytes:
    """Authorities the host's user trusts by `NODE_EXTRA_CA_CERTS`: behind an intercepting proxy npm fails without."""
    try:
        with open(environ.get("NODE_EXTRA_CA_CERTS", os.devnull), "rb") as given:  # noqa: PTH123 - may be a device
            content = given.read()
    except OSError:
        return b""
    return content if not content or content.endswith(b"\n") else content + b"\n"
