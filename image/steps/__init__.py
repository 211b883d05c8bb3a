"""One file per thing that the build makes. A step takes values and paths and returns a path; it keeps no state."""
