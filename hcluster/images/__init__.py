"""Machine images: the pinned distribution, the tree of hcluster itself, and the bake that puts both into an image."""
