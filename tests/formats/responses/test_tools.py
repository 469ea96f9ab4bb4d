"""The flat names of tools in namespaces."""

from copilot_proxy.formats.responses.tools import ClientTool, ToolNames


def test_a_tool_outside_of_namespaces_keeps_its_name() -> None:
    """A plain tool keeps its name, and a tool in a namespace gets a different name."""
    inside = {"type": "namespace", "name": "n", "tools": [{"type": "function", "name": "b"}]}
    names = ToolNames({"tools": [inside, {"type": "function", "name": "n__b"}]})

    plain, spaced = ClientTool("function", "n__b"), ClientTool("function", "b", "n")
    assert "n__b" == names.flat(plain)
    assert names.flat(spaced).startswith("n__b_")
    assert (plain, spaced) == (
        names.client_tool("n__b"),
        names.client_tool(names.flat(spaced)),
    )
