"""How many do the work, and where: what --workers and --cluster say."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from phasescope.errors import BadArgumentError, require_library
from phasescope.workers.crew import Crew, Here
from phasescope.workers.processes import Processes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from phasescope.workers.portable import Supplier


@dataclass(frozen=True)
class Workforce:
    """So many workers, on this machine or on a cluster.

    Attributes:
        number: None: one here, or as many as the cluster has GPUs or cores.
        cluster: the address of a Ray cluster (`auto`, `local`, `ray://host:10001`); None: this machine.
    """

    number: int | None = None
    cluster: str | None = None

    @property
    def alone(self) -> bool:
        """Whether it is this process itself that works."""
        return self.cluster is None and self.number in (None, 1)

    def require(self, *, remote: bool = False, device: str = "auto") -> None:
        """Raise `BadArgumentError` for fewer than one worker, or more than there are cores here.

        remote: whether the work is done elsewhere, where neither this machine's cores nor a cluster's are of use.
        """
        number = 1 if self.number is None else self.number
        if remote and not self.alone:
            raise BadArgumentError(
                "Models that are read on NDIF are read by it: leave out --workers and --cluster, or --remote."
            )
        if number < 1:
            raise BadArgumentError(f"Somebody has to do the work: --workers {number} is too few. Choose 1 or more.")
        if self.cluster is not None:
            if ":" in device:
                raise BadArgumentError(
                    f"On a cluster Ray says which GPU is whose: say --device cuda instead of --device {device}."
                )
            require_library("ray", "cluster", "Work on a cluster (--cluster)")
        elif number > (there := cores()):
            raise BadArgumentError(
                f"{number} workers are more than this machine's {there} {'core' if there == 1 else 'cores'}: they "
                f"would take more memory and no less time. Choose --workers {there} or fewer."
            )

    def crew(
        self,
        work: object,
        *,
        device: str = "cpu",
        folder: Path | None = None,
        sources: Sequence[Path] = (),
        supplier: Supplier | None = None,
        tell: Callable[[str], object] = lambda _: None,
    ) -> Crew:
        """Those who do `work`, to be entered with `with`.

        device: what it is done on; each of several has a GPU of its own, where there are several.
        folder: what the work reads and writes. sources: what it reads besides. A cluster's nodes that do not see the
            folder are sent what they need, where the work knows how; those that do not see the sources have no work.
        supplier: fetches what tasks need to a node of a cluster. tell: is told how much was fetched there.
        """
        gpus = device in ("auto", "cuda")
        if self.cluster is not None:
            from phasescope.workers.cluster import Cluster

            return Cluster(
                work,
                self.cluster,
                self.number,
                gpus=gpus,
                folder=None if folder is None else folder.resolve(),
                sources=[source.resolve() for source in sources],
                supplier=supplier,
                tell=tell,
            )
        return Here(work) if self.alone else Processes(work, self.number or 1, gpus=gpus)


ALONE = Workforce()


def cores() -> int:
    """The cores of this machine that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
