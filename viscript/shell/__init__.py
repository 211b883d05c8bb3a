"""The shell: words in, text out. It asks the daemon over the API and owns no state of its own."""
