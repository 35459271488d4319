"""Who is let in: asked of the real server, by an HTTP client."""

from __future__ import annotations

import http.client
import socket
from pathlib import Path
from typing import Any

import httpx
import pytest

from phasescope.errors import PhasescopeError
from phasescope.explorer.server import explore, listening
from tests.explorer.conftest import Served, end, serve

ASSETS = "/assets/explorer.js"


@pytest.fixture
def client(served: Served) -> httpx.Client:
    """A browser that opened the whole address."""
    client = httpx.Client(base_url=served.origin)
    answer = client.get(served.address)
    assert answer.status_code == 302
    assert answer.headers["Location"] == "/"
    return client


@pytest.mark.parametrize(
    "path", ["/", ASSETS, "/_dash-layout", "/_dash-dependencies", "/anything", "/?token=wrong", "/?token=%C3%A9"]
)
def test_nothing_is_answered_without_the_token(served: Served, path: str) -> None:
    answer = httpx.get(served.origin + path)
    assert answer.status_code == 403
    assert "needs its token" in answer.text
    assert "set-cookie" not in answer.headers


def test_the_token_is_kept_in_a_cookie_that_scripts_cannot_read(served: Served) -> None:
    cookie = httpx.get(served.address).headers["set-cookie"]
    assert f"phasescope-{served.port}=" in cookie
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert httpx.get(served.origin, cookies={f"phasescope-{served.port}": "wrong"}).status_code == 403


def test_the_page_comes_with_its_protections(client: httpx.Client) -> None:
    answer = client.get("/")
    assert answer.status_code == 200
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'self'; script-src 'self' 'sha256-" in policy
    assert "unsafe-eval" not in policy
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "no-store"
    assert 'src="http' not in answer.text  # Nothing from other servers.
    assert client.get(ASSETS).status_code == 200


@pytest.mark.parametrize(
    "host", ["attacker.example", "attacker.example:{port}", "127.0.0.1:1", "127.0.0.1.attacker.example:{port}"]
)
def test_a_name_that_was_rebound_is_refused(client: httpx.Client, served: Served, host: str) -> None:
    answer = client.get("/", headers={"Host": host.format(port=served.port)})
    assert answer.status_code == 403
    assert "not the host" in answer.text


def test_no_host_is_refused(served: Served) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", served.port)
    connection.putrequest("GET", "/", skip_host=True)
    connection.endheaders()
    assert connection.getresponse().status in (400, 403)


@pytest.mark.parametrize("origin", [None, "null", "http://attacker.example", "https://127.0.0.1:{port}"])
def test_pages_of_others_can_send_nothing(client: httpx.Client, served: Served, origin: str | None) -> None:
    headers = {} if origin is None else {"Origin": origin.format(port=served.port)}
    answer = client.post("/_dash-update-component", json={}, headers=headers)
    assert answer.status_code == 403
    assert "pages of others" in answer.text
    own = client.post("/_dash-update-component", json={}, headers={"Origin": served.origin})
    assert own.status_code != 403


def test_what_no_page_would_ask_is_answered_with_a_sentence(client: httpx.Client, served: Served) -> None:
    asked = {
        "output": "..rank-figure.figure...rank-says.children..",
        "outputs": [{"id": "rank-figure", "property": "figure"}, {"id": "rank-says", "property": "children"}],
        "inputs": [
            {"id": "place", "property": "data", "value": {"size": "tiny", "component": "mlp_out", "layer": 99}},
            {"id": "seeds", "property": "value", "value": [1]},
            {"id": "rank-of", "property": "value", "value": "activations"},
            {"id": "bands", "property": "value", "value": None},
            {"id": "step", "property": "value", "value": 0},
        ],
        "changedPropIds": ["place.data"],
    }
    answer = client.post("/_dash-update-component", json=asked, headers={"Origin": served.origin}, timeout=60)
    assert answer.status_code == 200
    assert "There is no layer 99 of mlp_out in tiny. The nearest is 1." in answer.text
    assert not answer.json()["response"]


PLACE = {"size": "tiny", "component": "mlp_out", "layer": 1}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"seeds": ["../.."]}, "is no seed: it takes a whole number. There are: 1 and 2."),
        ({"seeds": [[1]]}, "is no seed"),
        ({"seeds": [7]}, "There is no seed 7 of tiny. The nearest is 2."),
        ({"seeds": "1"}, "are no seeds: they come as a list"),
        ({"seeds": [], "seed": {"a": 1}}, "is no seed"),
        ({"seeds": None, "seed": None}, "No seed is chosen of tiny"),
        ({"live-text": {"a": 1}}, "comes as text"),
        ({"live-steps": ["all"]}, "comes as text"),
        ({"place": {**PLACE, "layer": "../.."}}, "is no layer"),
        ({"place": {**PLACE, "size": ["tiny"]}}, "There is no size"),
    ],
)
def test_what_no_page_would_probe_is_answered_with_a_sentence(
    client: httpx.Client, served: Served, changed: dict[str, Any], said: str
) -> None:
    sent = {"live-text": "A text", "place": PLACE, "seeds": [1], "seed": 1, "live-steps": "last", **changed}
    properties = {"place": "data", "live-text": "value", "seeds": "value", "seed": "value", "live-steps": "value"}
    client.get(served.address)
    layout = client.get(f"{served.origin}/_dash-dependencies").json()
    (begin,) = [one for one in layout if one["inputs"] == [{"id": "live-go", "property": "n_clicks"}]]
    asked = {
        "output": begin["output"],
        "outputs": [
            dict(zip(("id", "property"), part.split("@")[0].rsplit(".", 1), strict=True))
            for part in begin["output"].strip(".").split("...")
        ],
        "inputs": [{"id": "live-go", "property": "n_clicks", "value": 1}],
        "state": [{"id": name, "property": properties[name], "value": sent[name]} for name in
                  (state["id"] for state in begin["state"])],
        "changedPropIds": ["live-go.n_clicks"],
    }  # fmt: skip
    answer = client.post("/_dash-update-component", json=asked, headers={"Origin": served.origin}, timeout=60)
    assert answer.status_code == 200
    assert said in answer.text
    assert not answer.json()["response"]


def test_it_listens_on_loopback_alone(served: Served) -> None:
    for family, _, _, _, address in socket.getaddrinfo(socket.gethostname(), served.port, type=socket.SOCK_STREAM):
        if str(address[0]).startswith("127.") or address[0] == "::1":
            continue
        with socket.socket(family) as other:
            other.settimeout(2)
            assert other.connect_ex(address) != 0


def test_a_port_that_is_taken_gives_the_next_and_ctrl_c_ends(explored: Path, served: Served) -> None:
    second = serve(explored, served.port)
    assert second.port > served.port
    assert httpx.get(second.address).status_code == 302
    status, said = end(second)
    assert status == 0
    assert f"Port {served.port} is taken: this explorer listens on {second.port}." in said
    assert "The explorer has ended." in said
    assert "Traceback" not in said


def test_ports_that_cannot_be(served: Served) -> None:
    with pytest.raises(PhasescopeError, match="There is no port 99999"):
        listening(99999)
    with listening(served.port) as listener:
        assert listener.getsockname()[1] > served.port


def test_without_dash_one_sentence_says_how_to_install_it(captured: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    import phasescope as ps
    from phasescope.explorer.live_job import How

    monkeypatch.setitem(sys.modules, "dash", None)
    run = ps.open_run(captured)
    with pytest.raises(PhasescopeError, match=r"pip install 'phasescope\[explore\]'"):
        explore(run, How.of(run.manifest))
