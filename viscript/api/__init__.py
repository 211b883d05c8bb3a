"""The API: JSON lines over a UNIX socket. The shell speaks it; the GUI and other boards will."""
