"""What runs a tile: Keras on any backend, TFLite, ONNX Runtime, OpenVINO; one class a file.

A new one is a subclass of `base.Engine` and a line in `opening.py`.
"""
