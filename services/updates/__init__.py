"""Updates of a whole network: the bundle in the managers' object store, its way to the boards, and who goes when."""
