"""What runs a tile: Keras on any backend, or an exported file."""
