"""What every program that offers or uses a service in the mesh shares: its life, its being published, its finding of
servers, and its refusals in the log. It knows no service.
"""
