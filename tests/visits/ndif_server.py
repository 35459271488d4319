"""A small NDIF on loopback: takes the requests of nnsight's own client, runs them, sends back what they saved.

Run as a program, it is a process of its own in which phasescope cannot be imported, as on a real server. It loads
models from the hub that HF_ENDPOINT names. The key says what is done with a job: `run`, `fail` or `refuse`; it knows no
others.
"""

from __future__ import annotations

import base64
import email.parser
import email.policy
import hashlib
import io
import json
import queue
import struct
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEYS = ("run", "fail", "refuse")
_sessions: dict[str, queue.Queue[tuple[int, bytes] | None]] = {}
_models: dict[str, Any] = {}
_TEXT, _BINARY = 1, 2


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """`/subscribe`: a websocket on which the status of a job is told."""
        if self.headers["ndif-api-key"] not in KEYS:
            self._answer(401, {"detail": "Invalid API key"})
            return
        accepted = hashlib.sha1((self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode())
        self.send_response(101)
        for name, value in {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Accept": base64.b64encode(accepted.digest()).decode(),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        session = str(len(_sessions))
        _sessions[session] = queue.Queue()
        self._frame(_TEXT, json.dumps({"session_id": session}).encode())
        while (told := _sessions[session].get()) is not None:
            self._frame(*told)
        self.close_connection = True

    def do_POST(self) -> None:
        """`/request`: a job."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        parts = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body).iter_parts()
        fields = {part.get_param("name", header="content-disposition"): part.get_payload(decode=True) for part in parts}
        asked = json.loads(fields["data"])
        told = _sessions[asked["session_id"]]
        if self.headers["ndif-api-key"] == "refuse":
            self._answer(429, {"detail": "Too many jobs in the queue"})
            told.put(None)
            return
        self._answer(200, {"id": "job", "status": "RECEIVED", "description": ""})
        told.put((_TEXT, json.dumps({"id": "job", "status": "QUEUED"}).encode()))
        told.put((_TEXT, json.dumps({"id": "job", "status": "RUNNING"}).encode()))
        try:
            if self.headers["ndif-api-key"] == "fail":
                raise RuntimeError("CUDA out of memory")
            told.put((_BINARY, _run(asked, fields["blob"])))
        except Exception as error:
            failed = {"id": "job", "status": "ERROR", "description": f"Traceback …\n{type(error).__name__}: {error}"}
            told.put((_TEXT, json.dumps(failed).encode()))
        told.put(None)

    def _frame(self, kind: int, content: bytes) -> None:
        length = bytes([len(content)]) if len(content) < 126 else b"\x7f" + struct.pack(">Q", len(content))
        self.wfile.write(bytes([0x80 | kind]) + length + content)

    def _answer(self, status: int, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def _run(asked: dict[str, Any], blob: bytes) -> bytes:
    """Run a job as a server does, and give what it saved."""
    import torch
    import zstandard
    from nnsight.schema.request import RequestModel
    from nnsight.schema.response import ResponseModel, Status
    from nnsight.tracing.tracer import dec, inc

    model = _model(asked["model_key"])
    model._remoteable_set_env(asked["env"])
    tracer = RequestModel.deserialize(blob, model._remoteable_persistent_objects(), asked["compress"])
    frame = tracer.info.frame
    given = set(frame.f_locals)
    inc()
    try:
        tracer.execute(tracer.info.code)
    finally:
        dec()
    with io.BytesIO() as file:
        torch.save({name: value for name, value in frame.f_locals.items() if name not in given}, file)
        saved = file.getvalue()
    saved = zstandard.ZstdCompressor().compress(saved) if asked["compress"] else saved
    return ResponseModel(id="job", status=Status.COMPLETED, data=saved).pickle()


def _model(key: str) -> Any:
    if key not in _models:
        from nnsight import TransformersModel

        _models[key] = TransformersModel.from_model_key(key, dispatch=True)
    return _models[key]


if __name__ == "__main__":
    sys.modules["phasescope"] = sys.modules["tests"] = None  # type: ignore[assignment]
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()
