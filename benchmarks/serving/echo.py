"""The cheapest HTTP server that asyncio allows: it sends the body back. What is measured against it is the client.

python -m benchmarks.serving.echo PORT
"""

import asyncio
import sys
from typing import cast

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: "


class Echo(asyncio.Protocol):
    """Answers each request, which this client sends in one piece, with its own body."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        body = data[data.index(b"\r\n\r\n") + 4 :]
        self.transport.write(HEAD + str(len(body)).encode() + b"\r\n\r\n" + body)


async def serve(port: int) -> None:
    """Serve until stopped."""
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
