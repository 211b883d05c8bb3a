"""The networks of these tests. In most, joins go over a switch of their own, and links over the cables alone."""

from tests.laboratory.model import Topology
from tests.laboratory.topology import parse_topology

MESH = "mesh: {managers: [m], links: [10.128.0.0/9], plain: true}"

THREE_WAYS = f"""
description: from a to d there are three ways, over x, y and z
hosts: [m, a, x, y, z, d]
switches: {{control: {{subnet: 203.0.113.0/24, members: ["*"]}}}}
cables:
  - {{between: [a, x]}}
  - {{between: [a, y]}}
  - {{between: [a, z]}}
  - {{between: [d, x]}}
  - {{between: [d, y]}}
  - {{between: [d, z]}}
{MESH}
"""

THREE_MANAGERS = """
description: three managers, and two ways from a to d
hosts: [m-1, m-2, m-3, a, x, y, d]
switches: {control: {subnet: 203.0.113.0/24, members: ["*"]}}
cables:
  - {between: [a, x]}
  - {between: [a, y]}
  - {between: [d, x]}
  - {between: [d, y]}
mesh: {managers: ["m-*"], links: [10.128.0.0/9], plain: true}
"""

RACK = """
description: four boards on one trusted switch, linked by wires; the first has the manager
hosts: [m, a, b, c]
switches: {rack: {subnet: 192.168.1.0/24, members: ["*"]}}
mesh: {managers: [m], links: [192.168.1.0/24], wires: [192.168.1.0/24], plain: true}
"""

TWO_CLUSTERS = """
description: two networks, a's and b's, with two ways each from a node to its border; only b reaches the web server
hosts: [a-m, a, a-x, a-y, b-m, b, b-x, b-y, web]
switches: {control: {subnet: 203.0.113.0/24, members: [a, "a-*", b, "b-*"]}}
cables:
  - {between: [a, a-x]}
  - {between: [a, a-y]}
  - {between: [a-x, a-m]}
  - {between: [a-y, a-m]}
  - {between: [a-m, b-m]}
  - {between: [b-m, b-x]}
  - {between: [b-m, b-y]}
  - {between: [b-x, b]}
  - {between: [b-y, b]}
  - {between: [b, web]}
mesh:
  managers: [a-m, b-m]
  clusters: {a: [a, "a-*"], b: [b, "b-*"]}
  apart: [web]
  links: [10.128.0.0/9]
  plain: true
"""

CLUSTER_BEHIND_NAT = """
description: two networks, one of them behind a router
hosts: [a-m, a, b-m, b]
switches:
  home: {subnet: 192.168.1.0/24, members: [a-m, a]}
  internet: {subnet: 203.0.113.0/24, members: [b-m, b]}
routers: {gate: {inside: home, outside: internet, nat: symmetric}}
mesh: {managers: [a-m, b-m], clusters: {a: [a, a-m], b: [b, b-m]}, plain: true}
"""


def read(text: str) -> Topology:
    return parse_topology(text, "places.py")
