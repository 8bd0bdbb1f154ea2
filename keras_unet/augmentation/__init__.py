"""Random changes of an image and its labels: one spatial field, one resampling, grey values.

`field` and `ranges` are plain maths for every library; the rest is TensorFlow. The random numbers
of a seed are a promise: a change of their order changes every resumed training.
"""
