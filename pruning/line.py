"""A straight line inside the network: VGG-16 corrects what it says, and need not learn again what a line can tell.

Trained alone on a few recordings, a VGG-16 is less accurate than a logistic regression on 64 numbers of the same images
wherever the test part is unlike the training part (another load, another machine). With the line's logits added to its
own, it starts from that answer and changes it where the training windows ask for it. The line is fitted first and stays
as it is; it costs some thousand FLOP and is never pruned.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn


class BandLine(nn.Module):
    """Logits that are linear in the mean and the deviation over time of each band (row) of an image.

    Args:
        size: Rows and columns of the images.
        classes: Number of logits.
    """

    offset: Tensor
    slope: Tensor
    bias: Tensor

    def __init__(self, size: int, classes: int) -> None:
        super().__init__()
        self.register_buffer("offset", torch.zeros(2 * size))  # buffers, so that nothing trains or prunes them
        self.register_buffer("slope", torch.zeros(2 * size, classes))
        self.register_buffer("bias", torch.zeros(classes))

    def forward(self, images: Float[Tensor, "batch 1 size size"]) -> Float[Tensor, "batch classes"]:
        """The line's logits, in float32 also where the network computes in bfloat16."""
        rows = images[:, 0].float()
        mean = rows.mean(2)
        away = rows - mean[:, :, None]
        numbers = torch.cat([mean, (away * away).mean(2).sqrt()], 1)
        return (numbers - self.offset.float()) @ self.slope.float() + self.bias.float()

    def give(
        self,
        offset: Float[np.ndarray, " numbers"],
        slope: Float[np.ndarray, "numbers classes"],
        bias: Float[np.ndarray, " classes"],
    ) -> None:
        """Set what a fitted line says: logits are (numbers - offset) @ slope + bias."""
        with torch.no_grad():
            for own, given in ((self.offset, offset), (self.slope, slope), (self.bias, bias)):
                own.copy_(torch.from_numpy(given))
