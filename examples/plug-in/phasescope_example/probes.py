"""phasescope capture SUITE --out RUN --probe phasescope-example:induction"""

import torch

import phasescope as ps


@ps.probe(units="attention")
def induction(model, tokens, reading):
    """How much each head attends to what followed the same token before (Olsson et al. 2022)."""
    some = tokens[:, : tokens.shape[1] // 2]
    context = some.shape[1]
    twice = torch.cat([some, some], 1)
    second = torch.arange(context, 2 * context).expand(len(some), context)
    read = model.read(twice, second, "pattern")
    # The token at context + i is that at i, which i + 1 followed.
    after = torch.arange(1, context + 1, device=tokens.device).repeat(len(some))
    patterns = read.activations.values()
    score = [pattern.gather(2, after[:, None, None].expand(-1, pattern.shape[1], 1)) for pattern in patterns]
    return {"score": torch.stack([one.view(len(some), context, -1).mean(1) for one in score], 1)}
