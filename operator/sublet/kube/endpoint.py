"""Where an API server is and who we are there. Made by what reads kubeconfigs, read by whatever speaks to a cluster."""

import ssl
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where an API server is and how we show who we are. Never logged: it holds credentials."""

    server: str
    ca_pem: str | None = None
    token: Callable[[], str] | None = field(default=None, repr=False)
    client_cert_pem: str | None = field(default=None, repr=False)
    client_key_pem: str | None = field(default=None, repr=False)
    tls_server_name: str | None = None
    acting_as: tuple[tuple[str, str], ...] = ()
    """Headers that name whom we act as, in our rights' place."""
    proxy: str | None = field(default=None, repr=False)
    """What all requests go through; it may name a password."""
    renew: Callable[[], Awaitable[None]] | None = field(default=None, repr=False)
    """Takes a new token in the place of one that ended; None: ours is renewed without a word, or never ends."""

    def identity(self) -> list[tuple[str, str]]:
        """Return the headers that say who we are, with the newest token."""
        own = [("Authorization", f"Bearer {self.token()}")] if self.token is not None else []
        return [*own, *self.acting_as]

    async def renewed(self, shown: list[tuple[str, str]]) -> bool:
        """Say whether there is another identity than the one that was refused; take one if there isn't."""
        if self.renew is not None and self.identity() == shown:
            await self.renew()
        return self.renew is not None and self.identity() != shown

    def under(self, token: Callable[[], str]) -> "Endpoint":
        """Return the same server under another identity, with nothing of ours."""
        return replace(
            self, token=token, client_cert_pem=None, client_key_pem=None, acting_as=(), renew=None
        )


def tls_context(endpoint: Endpoint) -> ssl.SSLContext:
    """Build a context that trusts the endpoint's CA alone (the system's if it names none).

    Raises ssl.SSLError or ValueError if a certificate or key can't be used.
    """
    context = ssl.create_default_context(cadata=endpoint.ca_pem)
    if endpoint.client_cert_pem and endpoint.client_key_pem:
        # the ssl module loads certificates from files only; they are gone again at once
        with tempfile.TemporaryDirectory() as folder:
            cert, key = Path(folder, "cert.pem"), Path(folder, "key.pem")
            for path, text in ((cert, endpoint.client_cert_pem), (key, endpoint.client_key_pem)):
                path.touch(mode=0o600)
                path.write_text(text)
            # without an answer of our own OpenSSL asks the terminal for the passphrase of an encrypted key
            context.load_cert_chain(cert, key, password="")
    return context
