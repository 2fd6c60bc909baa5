"""Images to vectors: backbones, pooled features and fast runtimes."""
