"""Serving the explorer on loopback: a free port, the address, the browser, a clean end."""

from __future__ import annotations

import errno
import socket
import tempfile
import webbrowser
from contextlib import suppress
from html import escape
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phasescope.errors import BadArgumentError, PhasescopeError
from phasescope.explorer.gate import NAMES, Gate

if TYPE_CHECKING:
    from phasescope.explorer.live_job import How
    from phasescope.run import Run

# As many as Jupyter tries.
_MOST_TRIED = 50


def explore(run: Run, how: How, *, port: int = 8765, browser: bool = True, axis: str | None = None) -> None:
    """Serve the explorer of a run until Ctrl-C.

    Args:
        run: what is looked at; nothing is written to it.
        how: how its checkpoints are probed live.
        port: where to listen; where it is taken, the next that is free.
        browser: whether to open one.
        axis: what is counted along training: `tokens`, or what the run counts.

    Raises `PhasescopeError` where Dash is not installed, the run has no shards, or no port is free.
    """
    from phasescope.console import stderr

    if find_spec("dash") is None:
        raise PhasescopeError("The explorer needs Dash, which is not installed: pip install 'phasescope[explore]'.")
    run.reader.require_shards()
    with listening(port) as listener, tempfile.TemporaryDirectory(prefix="phasescope-") as scratch:
        gate = Gate(listener.getsockname()[1])
        if port and gate.port != port:
            stderr().print(f"Port {port} is taken: this explorer listens on {gate.port}.")
        with stderr().status("Opening the run …"):
            from phasescope.explorer.app import make_app

            app, jobs = make_app(run, gate, how, axis)
        print(gate.address, flush=True)
        stderr().print("Only this machine can open it, with this address. Ctrl-C ends it.")
        if browser:
            _open(gate.address, Path(scratch))
        try:
            _serve(app.server, listener)
        finally:
            jobs.stop()
    stderr().print("The explorer has ended.")


def listening(port: int) -> socket.socket:
    """A socket on loopback, at `port` or the next that is free. Raises `PhasescopeError` where none is."""
    if not 0 <= port <= 65535:
        raise BadArgumentError(f"There is no port {port}. Choose one from 1024 to 65535.")
    last = min(port + _MOST_TRIED, 65535)
    for candidate in range(port, last + 1):
        try:
            return socket.create_server((NAMES[0], candidate))
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
    raise PhasescopeError(f"None of the ports {port} to {last} is free for you. Choose another --port.")


def _serve(server: Any, listener: socket.socket) -> None:
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Silent(WSGIRequestHandler):
        # An idle connection that a browser keeps open must not outlive the explorer.
        timeout = 60

        def log(self, type: str, message: str, *args: Any) -> None:
            """Say nothing: the terminal is for people, and addresses hold the token."""

    made = make_server(NAMES[0], 0, server, threaded=True, request_handler=Silent, fd=listener.fileno())
    with suppress(KeyboardInterrupt):
        made.serve_forever()


def _open(address: str, scratch: Path) -> None:
    """Open a browser by way of a file that only this user can read: other users see the arguments of programs."""
    page = scratch / "open.html"
    page.touch(mode=0o600)
    page.write_text(
        f'<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0;url={escape(address)}">'
        f'<p><a href="{escape(address)}">The explorer</a></p>',
        encoding="utf-8",
    )
    with suppress(webbrowser.Error):
        webbrowser.open(page.as_uri())
