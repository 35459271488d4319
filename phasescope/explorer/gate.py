"""Who may talk to the explorer: only the browser that was given the token, and only for a page of the explorer itself.

The server listens on loopback, where every other program of this machine, every other user of it and, through the
browser, every web page can knock. So every request must name this server as its host (a page whose name is rebound to
127.0.0.1 names itself), must carry the token (in the address once, then in a cookie), and, where it sends something,
must come from a page of this server.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlencode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flask import Flask, Request, Response

NAMES = ("127.0.0.1", "localhost")
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(frozen=True)
class Gate:
    """The token of one explorer, and the port that it listens on."""

    port: int
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)

    @property
    def address(self) -> str:
        """What a person opens."""
        return f"http://{NAMES[0]}:{self.port}/?{urlencode({'token': self.token})}"

    @property
    def cookie(self) -> str:
        """Cookies are shared by all ports of a host: each explorer has its own."""
        return f"phasescope-{self.port}"

    def guard(self, server: Flask, inline_scripts: Sequence[str]) -> None:
        """Check every request that `server` answers.

        inline_scripts: hashes of the scripts in its page, as a Content-Security-Policy names them; no others run.
        """
        from flask import request

        policy = (
            f"default-src 'self'; script-src 'self' {' '.join(inline_scripts)}; style-src 'self' 'unsafe-inline'; "
            "img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )

        @server.before_request
        def check() -> Response | None:
            return self._check(request)

        @server.after_request
        def protect(response: Response) -> Response:
            response.headers.update(_HEADERS)
            response.headers["Content-Security-Policy"] = policy
            if response.mimetype == "text/html":
                response.headers["Cache-Control"] = "no-store"
            return response

    def _check(self, request: Request) -> Response | None:
        hosts = [f"{name}:{self.port}" for name in NAMES]
        if request.host not in hosts:
            return _refusal("This is not the host that the explorer answers to: open the address that it printed.")
        sends = request.method not in ("GET", "HEAD")
        if sends and request.headers.get("Origin") not in [f"http://{host}" for host in hosts]:
            return _refusal("The explorer takes nothing from pages of others.")
        given = request.args.get("token")
        if given is not None and self._is_token(given):
            return self._let_in(request)
        if self._is_token(request.cookies.get(self.cookie, "")):
            return None
        return _refusal("The explorer needs its token: open the whole address that phasescope explore printed.")

    def _is_token(self, given: str) -> bool:
        return secrets.compare_digest(given.encode(), self.token.encode())

    def _let_in(self, request: Request) -> Response:
        """Put the token into a cookie, and take it out of the address, which ends up in histories."""
        from flask import redirect

        rest = [(name, value) for name, value in request.args.items(multi=True) if name != "token"]
        answer: Response = redirect(f"/?{urlencode(rest)}" if rest else "/")  # type: ignore[assignment]
        # Lax, not strict: the link is often clicked in a terminal that is itself a web page.
        answer.set_cookie(self.cookie, self.token, httponly=True, samesite="Lax")
        return answer


def _refusal(why: str) -> Response:
    from flask import Response

    return Response(why + "\n", 403, content_type="text/plain; charset=utf-8")
