"""What every program that offers or uses a service in the mesh shares: its life, its being published, its finding of
servers, and its refusals in the log. It stands on the node's API and knows no service.
"""
