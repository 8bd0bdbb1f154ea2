"""Files: bytes to arrays and back.

Knows images and label maps, no samples. Decoders never guess: what is not clear is an error that
names the file.
"""
