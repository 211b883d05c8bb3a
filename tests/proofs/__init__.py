"""`tests/prove`: one module per subject, each a function that fills a table."""
