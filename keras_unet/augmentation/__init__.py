"""Random changes of an image and its labels: one spatial field, one resampling, grey values."""
