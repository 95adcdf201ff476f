"""A coding assistant that is connected to the MCP server, in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from mcp import Client
from mcp.server.mcpserver import MCPServer
from mcp_types import CallToolResult, TextContent, Tool

T = TypeVar("T")


class Assistant:
    def __init__(self, server: MCPServer) -> None:
        self._server = server

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """What a tool returns that must do what it is asked for."""
        result = self._ask(lambda client: client.call_tool(tool, arguments))
        assert not result.is_error, _text(result)
        assert result.structured_content is not None
        return dict(result.structured_content)

    def fails(self, tool: str, **arguments: Any) -> str:
        """What a tool says that must fail."""
        result = self._ask(lambda client: client.call_tool(tool, arguments))
        assert result.is_error, result.structured_content
        return _text(result)

    def tools(self) -> dict[str, Tool]:
        return {tool.name: tool for tool in self._ask(lambda client: client.list_tools()).tools}

    def instructions(self) -> str:
        async def read(client: Client) -> str:
            return client.instructions or ""

        return self._ask(read)

    def _ask(self, question: Callable[[Client], Awaitable[T]]) -> T:
        async def ask() -> T:
            async with Client(self._server) as client:
                return await question(client)

        return asyncio.run(ask())


def _text(result: CallToolResult) -> str:
    return "\n".join(part.text for part in result.content if isinstance(part, TextContent))
