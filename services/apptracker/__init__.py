"""The app tracker: a directory of who offers what, where every entry is leased and vanishes unless renewed."""
