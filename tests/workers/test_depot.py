"""What a node's depot is told may arrive in another order than it was said in."""

from __future__ import annotations

import pickle
from pathlib import Path

from phasescope.workers.seat import Depot


class Told:
    """A supplier that writes down what it is told."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def begin(self) -> None:
        self.path.write_text("")

    def release(self, needs: tuple[object, ...]) -> None:
        self.path.write_text(self.path.read_text() + "released ")

    def hurry(self) -> None:
        self.path.write_text(self.path.read_text() + "hurried ")


def test_nobody_is_hurried_while_something_is_still_given_back(tmp_path: Path) -> None:
    """Else what is fetched would be told that there never will be room, though there is some in a moment."""
    depot = Depot(pickle.dumps(Told(tmp_path / "told")))
    depot.hurry(0)
    depot.hurry(1)
    depot.release(())
    depot.hurry(1)
    assert (tmp_path / "told").read_text() == "hurried released hurried "
