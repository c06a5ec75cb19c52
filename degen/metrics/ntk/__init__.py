"""Neural tangent kernel (NTK) of recurrent networks and its alignment across training (section 3.2, App. I).

`tangent_kernel` and `kernel_alignment` are exact. `estimated_alignment` does not form the kernel and applies
to any number of outputs.
"""

from degen.metrics.ntk.estimate import AlignmentEstimate, estimated_alignment
from degen.metrics.ntk.exact import kernel_alignment, tangent_kernel

__all__ = ["AlignmentEstimate", "estimated_alignment", "kernel_alignment", "tangent_kernel"]
