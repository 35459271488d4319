"""phasescope map RUN phasescope-example:participation_ratio"""

import torch

import phasescope as ps


@ps.measure(sites="mlp_out", units="dimensions")
def participation_ratio(x):
    """How many dimensions the variance of a site is spread over (Gao et al. 2017)."""
    variances = torch.linalg.svdvals(x - x.mean(0)).double() ** 2
    return variances.sum() ** 2 / (variances**2).sum()
