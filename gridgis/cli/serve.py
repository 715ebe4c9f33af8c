"""gridgis serve: the public map of a store."""

from __future__ import annotations

import socket

import click

from gridgis.errors import InputError


@click.command("serve")
@click.argument("store", default="out/gridgis.gpkg", metavar="[STORE]")
@click.option("--host", default="127.0.0.1", show_default=True, help="0.0.0.0: 全网可访问 every network of the machine")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0: 任意空闲 any free one")
def command(store: str, host: str, port: int) -> None:
    """打开公开地图网站（Ctrl-C 停止）。

    Serve the public map of a store until Ctrl-C.
    """
    serve_store(store, host, port)


def serve_store(store: str, host: str, port: int, *, any_port: bool = False) -> None:
    """Serve until Ctrl-C; with `any_port` a port that is taken is replaced by a free one."""
    import waitress

    from webmap import create_app

    app = create_app({"STORE": store})
    listener = _listen(host, port, any_port)
    address = f"http://{host}:{listener.getsockname()[1]}/"
    click.echo(f"地图已打开 the map is at {address}  (Ctrl-C 停止 stops it)")
    server = waitress.create_server(app, sockets=[listener], ident="gridgis", threads=8)
    try:
        server.run()
    finally:
        server.close()


def _listen(host: str, port: int, any_port: bool) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        if any_port and port:
            listener.close()
            return _listen(host, 0, False)
        listener.close()
        raise InputError(
            f"the address {host}:{port} cannot be used: {error.strerror}",
            remedy="Choose another with --port.",
        ) from error
    return listener
