"""A TLS server that answers one request, and then neither says nor hears anything until it is closed."""

import socket
import ssl
import threading
from pathlib import Path


class Silent:
    """Answers the first request of its one connection with these bytes, and doesn't end it."""

    def __init__(self, answer: bytes, certificate: Path, key: Path | None = None) -> None:
        self._answer = answer
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(certificate, key)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        self.url = f"https://127.0.0.1:{self._listener.getsockname()[1]}"

    def close(self) -> None:
        """End."""
        self._over.set()
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        taken, _ = self._listener.accept()
        with self._tls.wrap_socket(taken, server_side=True) as connection:
            connection.recv(65536)
            connection.sendall(self._answer)
            self._over.wait()
