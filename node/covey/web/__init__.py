"""The web page: its built files in ``site/``, and a server that shows them beside a node or a local network."""
