"""Files: bytes to arrays and back. Knows images and label maps, no samples."""
