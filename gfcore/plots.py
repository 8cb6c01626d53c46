"""One style for every figure, and one function a figure of the paper."""

