"""Health checks, one file each; each answers with a trouble or with nothing."""
