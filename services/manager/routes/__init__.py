"""The route computer: a graph of links, a policy, and two routes that do not fail together. Pure; no I/O.

    model, policy ← graph ← views ← search ← { pairs (no limits) · limited (hops, via) } ← best ← find

`find` is what others call. Its own search in both directions touches some √n nodes of a random graph; a library's
search over the whole graph (rustworkx, measured in tests/benches/routes.py) is slower and brings numpy along.
"""
