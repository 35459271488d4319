"""phasescope capture early-pythia --out RUN"""

from phasescope.suites.preset import Preset

EARLY = Preset(
    name="early-pythia",
    about="The first 512 steps of the smallest Pythia (Biderman et al. 2023)",
    repository="EleutherAI/pythia-{size}",
    sizes=("14m",),
    steps=(0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512),
)
