"""Pure tensor mathematics, for use alone: no files, no models, no configuration.

Every measure takes tensors (or NumPy arrays) of any floating-point type, on any device, and says in its docstring what
it returns for input that has no answer: NaN, never a number that means nothing.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
